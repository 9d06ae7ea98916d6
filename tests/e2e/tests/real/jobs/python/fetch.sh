# Fetches a package's source distribution with its tests, and the wheels that its tests need.
set -eu
mkdir -p home work/wheels
python3 -m pip download --quiet --no-binary click --no-deps --dest work click==8.1.8
python3 -m pip download --quiet --only-binary :all: --dest work/wheels --requirement "$JOB/requirements.txt"
cp "$JOB/requirements.txt" work/
