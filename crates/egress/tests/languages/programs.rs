use tests::Need;

/// A program that fetches the page whose URL is its last argument, and prints it.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) needs: Need,
    /// Whether no variable makes it trust an authority.
    pub(crate) needs_system_bundle: bool,
    arguments: &'static [&'static str],
}

impl Program {
    pub(crate) fn command(&self, url: &str) -> Vec<String> {
        self.arguments
            .iter()
            .chain([&url])
            .map(|argument| (*argument).to_owned())
            .collect()
    }
}

const PYTHON: &str =
    "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())";
const REQUESTS: &str =
    "import sys; from pip._vendor import requests; print(requests.get(sys.argv[1], timeout=20).text)";
const RUBY: &str = "puts Net::HTTP.get(URI(ARGV[0]))";
const PHP_STREAMS: &str = "echo file_get_contents($argv[1]);";
const PHP_CURL: &str = "$c = curl_init($argv[1]); curl_setopt($c, CURLOPT_RETURNTRANSFER, true); echo curl_exec($c), curl_error($c);";
const LWP: &str = "print LWP::UserAgent->new(timeout => 20)->get($ARGV[0])->decoded_content";
const HTTP_TINY: &str = "print HTTP::Tiny->new(verify_SSL => 1)->get($ARGV[0])->{content}";
const NODE_HTTP: &str =
    "require(process.argv[1].split(':')[0]).get(process.argv[1], answer => answer.pipe(process.stdout))";
const NODE_FETCH: &str =
    "fetch(process.argv[1]).then(answer => answer.text()).then(text => console.log(text))";

pub(crate) const PROGRAMS: [Program; 10] = [
    Program {
        name: "curl",
        needs: Need::Program("curl"),
        needs_system_bundle: false,
        arguments: &["curl", "-sS", "--max-time", "20"],
    },
    Program {
        name: "python_urllib",
        needs: Need::Program("python3"),
        needs_system_bundle: false,
        arguments: &["python3", "-c", PYTHON],
    },
    Program {
        name: "python_requests",
        needs: Need::Output(
            "python3",
            &["-c", "from pip._vendor import requests; print(requests)"],
        ),
        needs_system_bundle: false,
        arguments: &["python3", "-c", REQUESTS],
    },
    Program {
        name: "ruby_net_http",
        needs: Need::Program("ruby"),
        needs_system_bundle: false,
        arguments: &["ruby", "-rnet/http", "-e", RUBY],
    },
    Program {
        name: "php_streams",
        needs: Need::Program("php"),
        needs_system_bundle: false,
        arguments: &["php", "-r", PHP_STREAMS],
    },
    Program {
        name: "php_curl",
        needs: Need::Output("php", &["--ri", "curl"]),
        needs_system_bundle: true,
        arguments: &["php", "-r", PHP_CURL],
    },
    Program {
        name: "perl_lwp",
        needs: Need::Output("perl", &["-MLWP::Protocol::https", "-e", "print 1"]),
        needs_system_bundle: false,
        arguments: &["perl", "-MLWP::UserAgent", "-e", LWP],
    },
    Program {
        name: "perl_http_tiny",
        needs: Need::Output("perl", &["-MHTTP::Tiny", "-MIO::Socket::SSL", "-e", "print 1"]),
        needs_system_bundle: false,
        arguments: &["perl", "-MHTTP::Tiny", "-e", HTTP_TINY],
    },
    Program {
        name: "node_http",
        needs: Need::Program("node"),
        needs_system_bundle: false,
        arguments: &["node", "-e", NODE_HTTP],
    },
    Program {
        name: "node_fetch",
        needs: Need::Output("node", &["-e", "console.log(fetch)"]),
        needs_system_bundle: false,
        arguments: &["node", "-e", NODE_FETCH],
    },
];
