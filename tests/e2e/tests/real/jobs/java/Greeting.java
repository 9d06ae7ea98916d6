/** What is said to someone. */
final class Greeting {
    private final String name;

    Greeting(String name) {
        this.name = name;
    }

    String text() {
        return "hello, " + name;
    }
}
