# Compiles and runs, and packs an archive.
set -eu
status=0
javac -d classes ./*.java >log 2>&1 || status=$?
echo "javac: $status"
java -cp classes Hello
jar --create --file hello.jar --main-class Hello -C classes . >>log 2>&1 || status=$?
java -jar hello.jar
echo "jar: $status"
cat log >&2
