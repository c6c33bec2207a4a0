# Installs what cpanfile names into /build/local.
use strict;
use warnings;

use File::Path 'remove_tree';

my $found = grep { -x "$_/cpanm" } split /:/, $ENV{PATH};
die "cpanm is not installed on this machine: ask its operator for the package cpanminus\n" unless $found;
my $status = system 'cpanm', '--notest', '--quiet', '--local-lib-contained', '/build/local', '--installdeps', '.';
remove_tree($ENV{PERL_CPANM_HOME});
exit($status == 0 ? 0 : 1);
