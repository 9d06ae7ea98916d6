//! What went through the gate, in a line for each endpoint.

use std::fmt::Write as _;

use stockade::report::{Direction, NetworkReport, Traffic};
use stockade::units::ByteSize;

use super::text::escaped;

/// What went through the gate, by endpoint; a bounded number of lines, as the report's lists are.
pub(super) fn told(report: &NetworkReport) -> String {
    let mut lines = format!("stockade: network, {}\n", amounts(report.total));
    for endpoint in &report.endpoints {
        let published = if endpoint.direction == Direction::In { " (published)" } else { "" };
        let (host, port) = (escaped(&endpoint.host), endpoint.port);
        let _infallible = writeln!(lines, "  {host} port {port}{published}: {}", amounts(endpoint.traffic));
    }
    if report.elsewhere.connections > 0 {
        let _infallible = writeln!(lines, "  elsewhere: {}", amounts(report.elsewhere));
    }
    lines
}

fn amounts(traffic: Traffic) -> String {
    let Traffic { connections, sent, received, .. } = traffic;
    let ending = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{ending}, {} sent, {} received", ByteSize(sent), ByteSize(received))
}

#[cfg(test)]
mod tests {
    use stockade::report::{Connection, MAX_ENDPOINTS, Protocol};

    use super::*;

    fn connection(direction: Direction, host: &str) -> Connection {
        Connection {
            direction,
            host: host.into(),
            address: None,
            port: 443,
            protocol: Protocol::Tls,
            sent: 1_024,
            received: 7,
            duration_ms: 1,
            rule: None,
            process: None,
            at_ms: 0,
            failed: None,
        }
    }

    #[test]
    fn every_endpoint_has_its_line() {
        let mut report = NetworkReport::default();
        report.record(connection(Direction::Out, "x.example"));
        report.record(connection(Direction::In, "127.0.0.1\u{1b}"));
        assert_eq!(
            told(&report),
            "stockade: network, 2 connections, 2KiB sent, 14B received\n  \
             x.example port 443: 1 connection, 1KiB sent, 7B received\n  \
             127.0.0.1\\u{1b} port 443 (published): 1 connection, 1KiB sent, 7B received\n"
        );
    }

    #[test]
    fn what_is_beyond_the_bound_is_one_line() {
        let mut report = NetworkReport::default();
        (0..MAX_ENDPOINTS + 9).for_each(|n| report.record(connection(Direction::Out, &format!("h{n}.example"))));
        let text = told(&report);
        assert_eq!(text.lines().count(), 1 + MAX_ENDPOINTS + 1);
        assert!(text.ends_with("  elsewhere: 9 connections, 9KiB sent, 63B received\n"), "{text}");
    }
}
