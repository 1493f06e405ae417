# sshd_listener.pl - takes connections at a free port of loopback, and gives each to a program, as
# `sshd -i`; the port goes into a file, all at once.
#
#     perl sshd_listener.pl PORT-FILE PROGRAM [WORD...]
use strict;
use warnings;
use IO::Socket::INET;

my ($file, @program) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die;
$SIG{CHLD} = 'IGNORE';
open(my $port, '>', "$file.new") or die;
print $port $listener->sockport;
close $port;
rename("$file.new", $file) or die;
while (my $connection = $listener->accept) {
    if (fork == 0) {
        open(STDIN, '<&', $connection);
        open(STDOUT, '>&', $connection);
        close $listener;
        $SIG{CHLD} = 'DEFAULT';
        exec @program;
    }
    close $connection;
}
