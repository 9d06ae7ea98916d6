//! Every program that is tried.

use crate::program::Program;

const BASE: Program = Program {
    name: "",
    needs: ("true", ""),
    services: &[],
    setup: "",
    script: "",
    prints: "welcome to /",
    seen: "",
    allow: &["--allow", "allowed.example"],
    denied: ("network", "allowed.example"),
};

/// How ssh is called: without anything of the user's own.
macro_rules! ssh {
    () => {
        "ssh -F none -i key -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR -o BatchMode=yes"
    };
}

/// A repository that any web server can serve.
const REPOSITORY: &str = "\
    git init -q -b main r; \
    git -C r -c user.name=A -c user.email=a@example.org commit -q --allow-empty -m 'welcome to / git'; \
    git clone -q --bare r outside/files/repo.git; \
    git -C outside/files/repo.git update-server-info";

/// Every program.
pub(crate) static PROGRAMS: &[Program] = &[
    Program {
        name: "curl",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        services: &["tls"],
        script: "curl -sS http://allowed.example/ && curl -sS --cacert ca.pem https://allowed.example/tls",
        ..BASE
    },
    Program {
        name: "curl-each-protocol",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS -4 http://allowed.example/four && curl -sS -6 http://allowed.example/six && \
                 curl -sS http://v4.example/ && curl -sS http://v6.example/",
        allow: &["--allow", "allowed.example", "--allow", "v4.example", "--allow", "v6.example"],
        ..BASE
    },
    Program {
        name: "curl-keep-alive",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS http://allowed.example/1 http://allowed.example/2 -d x=y http://allowed.example/length \
                 -H 'Transfer-Encoding: chunked' http://allowed.example/3",
        prints: "3 bytes",
        ..BASE
    },
    Program {
        name: "wget",
        needs: ("wget --version", "needs wget: apt-get install wget"),
        services: &["tls"],
        script: "wget -qO- http://allowed.example/ && wget -qO- --ca-certificate=ca.pem https://allowed.example/tls",
        ..BASE
    },
    Program {
        name: "busybox",
        needs: ("busybox wget --help", "needs busybox: apt-get install busybox-static"),
        script: "busybox wget -qO- http://allowed.example/",
        ..BASE
    },
    Program {
        name: "static-musl",
        needs: ("musl-gcc -v", "needs musl: apt-get install musl-tools"),
        setup: "musl-gcc -static -O1 -o home/project/fetch JOBS/fetch.c",
        script: "./fetch allowed.example && ./fetch v4.example && ./fetch v6.example",
        allow: &["--allow", "allowed.example", "--allow", "v4.example", "--allow", "v6.example"],
        ..BASE
    },
    Program {
        name: "git-over-http",
        services: &["tls"],
        setup: REPOSITORY,
        script: "d=$(mktemp -d); git clone -q http://allowed.example/files/repo.git $d/a && git -C $d/a log --format=%s && \
                 git -c http.sslCAInfo=$PWD/ca.pem clone -q https://allowed.example/files/repo.git $d/b && \
                 git -C $d/b log --format=%s; status=$?; rm -rf $d; exit $status",
        ..BASE
    },
    Program {
        name: "git-over-ssh",
        needs: ("ssh -V && ls /usr/sbin/dropbear", "needs ssh and dropbear: apt-get install openssh-client dropbear-bin"),
        services: &["ssh"],
        setup: REPOSITORY,
        script: concat!(
            "d=$(mktemp -d); GIT_SSH_COMMAND='",
            ssh!(),
            "' git clone -q ssh://$(id -un)@git.exampleBASE/outside/files/repo.git $d/a && git -C $d/a log --format=%s; \
             status=$?; rm -rf $d; exit $status"
        ),
        allow: &["--allow", "git.example:22"],
        denied: ("network", "git.example"),
        ..BASE
    },
    Program {
        name: "ssh",
        needs: ("ssh -V && ls /usr/sbin/dropbear", "needs ssh and dropbear: apt-get install openssh-client dropbear-bin"),
        services: &["ssh"],
        script: concat!(ssh!(), " $(id -un)@git.example 'echo welcome to / ssh'"),
        allow: &["--allow", "git.example:22"],
        denied: ("network", "git.example"),
        ..BASE
    },
    Program {
        name: "python",
        needs: ("/usr/bin/python3 --version", "needs Python: apt-get install python3"),
        services: &["tls"],
        setup: "cp JOBS/fetch.py home/project/",
        script: "/usr/bin/python3 fetch.py",
        ..BASE
    },
    Program {
        name: "python-streams",
        needs: ("/usr/bin/python3 --version", "needs Python: apt-get install python3"),
        setup: "cp JOBS/streams.py home/project/",
        script: "/usr/bin/python3 streams.py",
        prints: "whole",
        allow: &["--allow", "echo.example:7"],
        denied: ("network", "echo.example"),
        ..BASE
    },
    Program {
        name: "python-requests",
        needs: ("/usr/bin/python3 -c 'import requests'", "needs Requests: apt-get install python3-requests"),
        services: &["tls"],
        script: "/usr/bin/python3 -c 'import requests; session = requests.Session(); session.verify = \"ca.pem\"; \
                 [print(session.get(url).text) for url in \
                 (\"http://allowed.example/\", \"https://allowed.example/tls\", \"https://allowed.example/again\")]'",
        ..BASE
    },
    Program {
        name: "node",
        needs: ("node --version", "needs Node: apt-get install nodejs"),
        services: &["tls"],
        script: "NODE_EXTRA_CA_CERTS=ca.pem node -e 'const get = url => fetch(url).then(answer => answer.text());\
                 get(\"http://allowed.example/\").then(async text => console.log(text, await get(\"https://allowed.example/tls\")))'",
        ..BASE
    },
    Program {
        name: "java",
        needs: ("javac -version", "needs a JDK: apt-get install default-jdk-headless"),
        services: &["tls"],
        setup: "cp JOBS/Fetch.java home/project/",
        script: "d=$(mktemp -d) && keytool -importcert -noprompt -alias internet -file ca.pem -keystore $d/trusted \
                 -storepass changeit >&2 && java -Djavax.net.ssl.trustStore=$d/trusted -Djavax.net.ssl.trustStorePassword=changeit \
                 Fetch.java http://allowed.example/ https://allowed.example/tls; status=$?; rm -rf $d; exit $status",
        ..BASE
    },
    Program {
        name: "go",
        needs: ("go version", "needs Go: apt-get install golang-go"),
        services: &["tls"],
        setup: "cp JOBS/fetch.go.txt home/project/fetch.go; cd home/project; \
                GOCACHE=BASE/go CGO_ENABLED=0 GO111MODULE=off go build -o fetch fetch.go",
        script: "SSL_CERT_FILE=ca.pem ./fetch http://allowed.example/ https://allowed.example/tls",
        ..BASE
    },
    Program {
        name: "psql",
        needs: ("psql --version", "needs psql: apt-get install postgresql-client"),
        script: "psql -X -A -t -h db.example -U anybody -d any -c 'select line'",
        prints: "welcome to / postgres",
        seen: "postgres select line",
        allow: &["--allow", "db.example:5432"],
        denied: ("network", "db.example"),
        ..BASE
    },
    Program {
        name: "redis",
        needs: ("redis-cli --version", "needs Redis: apt-get install redis-tools"),
        services: &["redis"],
        script: "redis-cli -h db.example set key 'welcome to / redis' && redis-cli -h db.example get key",
        allow: &["--allow", "db.example:6379"],
        denied: ("network", "db.example"),
        ..BASE
    },
    Program {
        name: "unix-socket",
        needs: ("redis-cli --version", "needs Redis: apt-get install redis-tools"),
        services: &["redis"],
        script: "test \"$(redis-cli -s BASE/outside/redis/socket ping)\" = PONG && echo welcome to / socket",
        allow: &["--unix", "BASE/outside/redis/socket"],
        denied: ("sockets", "redis/socket"),
        ..BASE
    },
    Program {
        name: "server-speaks-first",
        needs: ("bash --version", "needs bash: apt-get install bash"),
        script: "bash -ec 'exec 3<>/dev/tcp/echo.example/7; read -r line <&3; echo \"$line\"; echo hi >&3; read -r line <&3; echo \"$line\"'",
        prints: "220 welcome\nhi",
        allow: &["--allow", "echo.example:7"],
        denied: ("network", "echo.example"),
        ..BASE
    },
    Program {
        name: "address-rule",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS http://203.0.113.10/ && curl -sS http://169.254.169.254/",
        allow: &["--allow", "203.0.113.10:80", "--allow", "169.254.169.254:80"],
        denied: ("network", "203.0.113.10:80"),
        ..BASE
    },
    Program {
        name: "network-rule",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS http://203.0.113.10/ && curl -sS -g 'http://[2001:db8::10]/'",
        allow: &["--allow", "203.0.113.0/24:80", "--allow", "[2001:db8::/32]:80"],
        denied: ("network", "203.0.113.10:80"),
        ..BASE
    },
    Program {
        name: "rule-for-loopback-of-the-machine",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS http://127.0.0.1/",
        prints: "of a closed host",
        allow: &["--allow", "127.0.0.1:80"],
        denied: ("", ""),
        ..BASE
    },
    Program {
        name: "name-with-address-rule",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        script: "curl -sS http://private.example/",
        prints: "of a closed host",
        allow: &["--allow", "private.example", "--allow", "10.77.0.1:80"],
        denied: ("network", "private.example"),
        ..BASE
    },
    Program {
        name: "proxy-of-the-machine",
        needs: ("curl --version", "needs curl: apt-get install curl"),
        services: &["tls"],
        script: "https_proxy=http://203.0.113.10:3128 BOX curl -sS --cacert ca.pem https://allowed.example/",
        seen: "proxy CONNECT",
        denied: ("", ""),
        ..BASE
    },
    Program {
        name: "publish",
        needs: ("curl --version && /usr/bin/python3 --version", "needs curl and Python: apt-get install curl python3"),
        setup: "echo welcome to / publish > home/project/page",
        script: "BOX timeout 8 /usr/bin/python3 -m http.server 8080 >/dev/null 2>&1 &
                 for i in 1 2 3 4 5 6 7 8 9; do curl -sS http://127.0.0.1:8080/page 2>/dev/null && break; sleep 0.3; done
                 curl -sS -m 2 http://192.0.2.1:8080/ >/dev/null 2>&1 && test -n 'BOX' && echo published to everyone
                 kill %1 2>/dev/null; wait; true",
        allow: &["--publish", "8080"],
        denied: ("", ""),
        ..BASE
    },
    Program {
        name: "own-server-on-an-allowed-port",
        needs: ("curl --version && /usr/bin/python3 --version", "needs curl and Python: apt-get install curl python3"),
        setup: "echo welcome to / own > home/project/page",
        script: "timeout 8 /usr/bin/python3 -m http.server 8080 >/dev/null 2>&1 &
                 for i in 1 2 3 4 5 6 7 8 9; do curl -sS http://127.0.0.1:8080/page 2>/dev/null && break; sleep 0.3; done
                 curl -sS http://allowed.example:8080/; kill %1; wait; true",
        allow: &["--allow", "allowed.example:8080"],
        denied: ("", ""),
        ..BASE
    },
];
