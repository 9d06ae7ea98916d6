# Makes a repository.
set -eu
. "$JOB/../git/fetch.sh"
