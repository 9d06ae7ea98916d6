# What a person's machine offers: a service on loopback and an agent's socket. Notes every visit.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($directory) = @ARGV;
my $service = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0', Listen => 5) or die "service: $!";
my $agent = IO::Socket::UNIX->new(Local => "$directory/agent.sock", Listen => 5) or die "agent: $!";
open my $file, '>', "$directory/port.new" or die "port: $!";
print $file $service->sockport, "\n";
close $file or die "port: $!";
rename "$directory/port.new", "$directory/port" or die "port: $!";
my $waiting = IO::Select->new($service, $agent);
while (my @ready = $waiting->can_read) {
    for my $socket (@ready) {
        $socket->accept or next;
        my $name = $socket == $agent ? 'agent' : 'loopback';
        open my $visits, '>>', "$directory/visits" or die "visits: $!";
        print $visits "$name\n";
        close $visits or die "visits: $!";
    }
}
