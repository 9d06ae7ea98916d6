import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Greets from several threads, and through a file. */
public final class Hello {
    public static void main(String[] arguments) throws Exception {
        Path file = Files.createTempFile("hello", ".txt");
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Callable<String>> jobs = List.of(() -> new Greeting("world").text(), () -> new Greeting("sandbox").text());
        StringBuilder all = new StringBuilder();
        for (var result : pool.invokeAll(jobs)) {
            all.append(result.get()).append('\n');
        }
        pool.shutdown();
        Files.writeString(file, all);
        System.out.print(Files.readString(file));
        Files.delete(file);
    }
}
