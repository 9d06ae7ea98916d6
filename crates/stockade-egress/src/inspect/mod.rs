//! What a program says first: whether it names the host to the server that was decided about.
//!
//! A connection to a name is let through for that name. A server that has many names is told once more which one is meant,
//! by the program, in the ClientHello of TLS or in every request of HTTP/1, and there the program could name another one.
//! So what it sends is read before it goes on. What the server sends is not held up.
//!
//! - **TLS**: a ClientHello that names a server has to name this one; also a second one, after the server asked for a retry
//!   (RFC 8446, section 4.1.4). One that names none gets what the server has for those, and passes. The name that an
//!   encrypted ClientHello hides, and the `Host` inside the encrypted stream, cannot be seen: a server that answers for other
//!   names there is one that a rule should not allow. The resolver gives out no keys for such hiding.
//! - **PostgreSQL** asks for TLS by a message of its own first; the ClientHello behind it is read as well.
//! - **HTTP/1**: every request of a connection is read, and its body followed to its end. Each has to name this host in
//!   `Host`, and in its target where that names one. Where two readers could see different messages (a folded or twofold
//!   field, a length besides chunks, a lone LF) the connection is refused. A server that does not read a body as long as the
//!   request says takes the rest of it for another request; that cannot be seen.
//! - **Upgrades**: what follows an upgrade is taken for HTTP again if it looks like HTTP, since the server may have declined.
//!   HTTP/2 hides later names in compressed fields: an offer to upgrade to it, as common clients make it with their first
//!   request, passes, and a server that takes it up gets nothing more. `CONNECT` has no use with the host itself, and is
//!   refused.
//! - **HTTP/2 without TLS** (by prior knowledge, RFC 9113, section 3.3) is refused at port 80, where servers of many hosts
//!   listen, and passes at others: it is what gRPC speaks in private networks. Its names are as little seen as those inside TLS.
//! - **Everything else** passes. What could still become HTTP, for want of a first whole line, is held.

mod authority;
mod body;
mod first;
mod head;
mod hello;
mod inspection;
mod refusal;

pub use inspection::{Inspection, Step};
pub use refusal::{Protocol, Refusal};

/// Most bytes that are held at once, unless the last ones came in one piece: the head of a request, a ClientHello in its
/// records, a first line.
pub const MAX_HELD: usize = 64 << 10;
