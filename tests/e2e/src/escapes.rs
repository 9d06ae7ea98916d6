//! Every known way out of a sandbox, and which attack stands for it: the data of `docs/ESCAPES.md`.

use crate::families;

/// One known way out.
#[derive(Clone, Copy, Debug)]
pub struct Technique {
    /// Its number, which attacks name.
    pub number: u8,
    /// What it is.
    pub about: &'static str,
    /// Where no attack stands for it, why; or what else is to be said.
    pub note: &'static str,
}

const fn technique(number: u8, about: &'static str, note: &'static str) -> Technique {
    Technique { number, about, note }
}

/// Why nothing of Windows is tried.
const WINDOWS: &str = "Not applicable: this version runs on Linux.";
/// Why nothing of a server is tried.
const SERVER: &str = "Not applicable: this version has no server.";

/// The ways out, by what they are on. Techniques without a number of their own in literature stand with the nearest.
pub const GROUPS: &[(&str, &[Technique])] = &[
    (
        "Files, links and races",
        &[
            technique(1, "Write through a symbolic link in the workspace to a file outside.", ""),
            technique(2, "Read a closed file under another name: a link, a hard link, a renamed directory.", ""),
            technique(3, "Make a hard link to a closed file in an open directory.", ""),
            technique(4, "Rename the directory above a protected file and make it anew.", ""),
            technique(5, "Make a protected file that does not exist yet.", ""),
            technique(6, "Write the shell's start-up files from a directory below home.", ""),
            technique(
                7,
                "Spell a protected name in other case.",
                "Unicode look-alikes are left to file systems that fold them; git refuses those of `.git` itself.",
            ),
            technique(
                8,
                "Take the ways that /proc offers: its roots, directories, descriptors, environments and memories.",
                "",
            ),
            technique(9, "Use a descriptor that the caller left open, or climb from one.", ""),
            technique(10, "Open by file handle, or by openat2 without its restrictions.", ""),
            technique(11, "Change a path between its check and its use.", ""),
            technique(12, "Make device nodes, or turn path descriptors into open files.", ""),
            technique(13, "Change the mounts, in a namespace of one's own or with the newer calls.", ""),
            technique(
                14,
                "Get changes of a copy-on-write layer through to what lies below.",
                "The other attacks of this page, but those on the network, `read-denied-that-appears`, and those that are refused before the start, are made in a sandbox that lasts as well, and what they did there is applied; see the test target `sandboxes`.",
            ),
            technique(15, "Gain rights by set-user-id bits, file capabilities or changed permissions.", ""),
            technique(16, "Unpack an archive with a link to the host in it.", ""),
            technique(17, "Remount a read-only share for writing.", ""),
        ],
    ),
    (
        "Execution that is deferred to the host",
        &[
            technique(18, "Name programs in git's configuration, or plant hooks.", ""),
            technique(
                19,
                "Redirect git to another configuration: worktrees, common directories, bare and nested repositories, submodules.",
                "",
            ),
            technique(20, "Bind files to filters by git attributes.", ""),
            technique(
                21,
                "Change what builds and tests execute: scripts of packages, makefiles, wrappers.",
                "Configuration of toolchains is protected. The project's own code and build files are what the work is about: look at the difference before running them.",
            ),
            technique(22, "Plant settings that editors and coding agents obey.", ""),
            technique(23, "Drop programs into a directory of PATH or into the sandbox's own installation.", ""),
            technique(24, "Plant what starts by itself: units, crontabs, autostart, authorized keys.", ""),
        ],
    ),
    (
        "Sockets and control planes",
        &[
            technique(25, "Ask a container engine over its socket.", ""),
            technique(26, "Ask the message bus to start a program.", ""),
            technique(27, "Reach display and sound servers, by abstract name or by path.", ""),
            technique(28, "Ask the agents that hold keys.", ""),
            technique(29, "Type into a terminal multiplexer or an editor over its socket.", ""),
            technique(
                30,
                "Receive a descriptor from outside.",
                "No socket of the host can be reached, and none is inherited.",
            ),
            technique(31, "Send datagrams without connecting.", ""),
            technique(32, "Use socket families that reach the kernel or other machines.", ""),
            technique(33, "Type into the terminal that the command shares with the user.", ""),
            technique(
                34,
                "Send escape sequences to the terminal.",
                "The command's own output passes as it is, as without a sandbox; Stockade's own lines carry none.",
            ),
            technique(35, "Read the clipboard or the screen by the display server.", ""),
        ],
    ),
    (
        "Processes and kernel",
        &[
            technique(36, "Debug, read or write a process outside, or take its descriptors.", ""),
            technique(37, "Signal processes outside, or those that end the sandbox.", ""),
            technique(38, "Do by io_uring what a filter refuses.", ""),
            technique(39, "Make a user namespace, in which every capability is one's own.", ""),
            technique(
                40,
                "Use kernel interfaces that have often had holes: BPF, performance events, page-fault handling, keys, modules.",
                "",
            ),
            technique(41, "Call through another entry of the kernel, where numbers mean other calls.", ""),
            technique(
                42,
                "Execute by other means than a path: the loader, memory files, interpreters.",
                "No rule goes by the name of a program; what is executed in any way is confined just so.",
            ),
            technique(43, "Have variables of the environment load or start something, or read secrets from them.", ""),
            technique(
                44,
                "Have the kernel start a program: release agents, core patterns, helpers; or write control groups.",
                "",
            ),
            technique(
                45,
                "Act before the confinement is complete.",
                "Nothing of the command runs before every step is carried out: the process that becomes it executes nothing else.",
            ),
            technique(46, "Outlive the run as a daemon.", ""),
        ],
    ),
    (
        "Network",
        &[
            technique(47, "Connect directly, past a proxy.", ""),
            technique(48, "Confuse the reader of host names.", ""),
            technique(
                49,
                "Name one host in one layer and another in the next.",
                "What TLS carries is not read: hosts that share a certificate with an allowed one can be asked for over its connections.",
            ),
            technique(50, "Have an allowed name lead to a closed address.", ""),
            technique(51, "Change what a name leads to between two look-ups.", ""),
            technique(
                52,
                "Carry data out in questions to name servers.",
                "Names of hosts that a rule with `*` allows are looked up, whatever is in them.",
            ),
            technique(53, "Use ICMP or QUIC.", ""),
            technique(54, "Follow a redirection to a closed host.", ""),
            technique(
                55,
                "Smuggle requests past a reader of HTTP.",
                "HTTP/2 without TLS is let through to an allowed host at other ports than 80; what it names is read as little as in TLS.",
            ),
            technique(56, "Use an open connection for another purpose.", ""),
            technique(
                57,
                "Use another sandbox's way out.",
                "A gate belongs to one run and listens in that run's own network; there is none of another run to reach.",
            ),
            technique(58, "Reach services of the host.", ""),
            technique(
                59,
                "Carry data out through an allowed service.",
                "What an allowed service takes, it gets; limits bound how much.",
            ),
            technique(
                60,
                "Get at secrets that a proxy puts in.",
                "No secret is put in on the way out, so there is none to get at.",
            ),
        ],
    ),
    (
        "Resources",
        &[
            technique(61, "Make processes or threads without end.", ""),
            technique(62, "Fill memory: heap, memory files, files in memory.", ""),
            technique(
                63,
                "Fill disks, or flood the output.",
                "Files in memory are bounded in number too; the number of files in the workspace is not.",
            ),
            technique(64, "Use up descriptors, or leave shared memory behind.", ""),
            technique(
                65,
                "Take the processor from everyone else.",
                "`--cpus` bounds it; by default it is shared fairly as among any processes.",
            ),
            technique(66, "Not end when told to.", ""),
            technique(67, "Upload what unpacks to a multiple of its size.", SERVER),
            technique(68, "Print what breaks those who read it.", ""),
        ],
    ),
    (
        "Windows",
        &[
            technique(69, "Impersonate the anonymous token.", WINDOWS),
            technique(70, "Copy a token so that rules no longer match it.", WINDOWS),
            technique(71, "Reach files by network shares.", WINDOWS),
            technique(72, "Start programs in the Linux subsystem.", WINDOWS),
            technique(73, "Have a service start programs.", WINDOWS),
            technique(74, "Have the name service carry data out.", WINDOWS),
            technique(75, "Connect to named pipes.", WINDOWS),
            technique(76, "Write paths in one of their many other forms.", WINDOWS),
            technique(77, "Break away from a job object.", WINDOWS),
            technique(78, "Drive other windows, or read the clipboard.", WINDOWS),
            technique(79, "Plant registry entries that start programs.", WINDOWS),
            technique(80, "Profit from access entries that a crash left behind.", WINDOWS),
        ],
    ),
    (
        "Servers",
        &[
            technique(81, "Name another tenant's sandbox.", SERVER),
            technique(82, "Traverse paths in a service for files.", SERVER),
            technique(83, "Use signed addresses again.", SERVER),
            technique(84, "Read tokens from logs or arguments.", SERVER),
            technique(85, "Have a snapshot repeat secrets or random numbers.", SERVER),
            technique(86, "Race pausing, ending and executing.", SERVER),
            technique(87, "Inject into labels.", SERVER),
            technique(88, "Come from a web page in the user's browser.", SERVER),
            technique(89, "Have a port forwarder fetch from closed addresses.", SERVER),
        ],
    ),
    (
        "The sandbox itself",
        &[technique(90, "Switch it off from inside, bring a policy along, or have it fail open.", "")],
    ),
];

/// The page.
#[must_use]
pub fn page() -> String {
    let groups = GROUPS.iter().map(|(group, techniques)| {
        let rows: String = techniques.iter().map(row).collect();
        format!("\n## {group}\n\n| | way out | attacks | |\n|---|---|---|---|\n{rows}")
    });
    let attacks = families::all().map(|attack| {
        let (native, trace, landlock) = (attack.native.words(), attack.trace.words(), attack.landlock.words());
        format!("| `{}` | {} | {native} | {trace} | {landlock} |\n", attack.name, attack.about)
    });
    [HEAD.to_owned()].into_iter().chain(groups).chain([ATTACKS.to_owned()]).chain(attacks).collect()
}

const HEAD: &str = "\
# Ways out, and what stands in them

Every way out of a sandbox that we know of, and the attacks of `tests/e2e` that try it. Each attack is made without a
sandbox, where it has to succeed if ordinary permissions let it, and in one, where it has to fail and to leave an event:
as root and as an ordinary user, in tiers `namespaces` and `landlock`. What tier `landlock` does not stop is said in the
last table. Attacks on the network are made in an internet of the suite's own, by the test target `network`. The test
target `sandboxes` makes the others in a sandbox that lasts too, and applies what they did there; but not
`read-denied-that-appears`, nor those that are refused before the start. This page is made from the attacks:
`UPDATE_GOLDEN=1 cargo test -p e2e --test containment docs`.
";

const ATTACKS: &str = "
## Attacks

| attack | what it attempts | without a sandbox | trace | in tier `landlock` |
|---|---|---|---|---|
";

fn row(technique: &Technique) -> String {
    let attacks = families::all().filter(|attack| attack.techniques.contains(&technique.number));
    let attacks: Vec<String> = attacks.map(|attack| format!("`{}`", attack.name)).collect();
    format!("| {} | {} | {} | {} |\n", technique.number, technique.about, attacks.join(" "), technique.note)
}
