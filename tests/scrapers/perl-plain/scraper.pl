# Planning applications, with LWP and SQLite.
use strict;
use warnings;

use DBI;
use HTML::Entities;
use LWP::Simple;

my $database = DBI->connect('dbi:SQLite:dbname=data.sqlite', '', '', { RaiseError => 1, sqlite_unicode => 1 });
$database->do('CREATE TABLE IF NOT EXISTS data
    (id TEXT PRIMARY KEY, address TEXT, received DATE, description TEXT, cost REAL, decided BOOLEAN)');

sub fetch {
    my ($path) = @_;
    print "reading $ENV{MORPH_SITE}$path\n";
    my $page = get("$ENV{MORPH_SITE}$path") // die "$path cannot be read\n";
    utf8::decode($page);
    return $page;
}

sub text {
    my ($markup) = @_;
    $markup =~ s/<[^>]+>//g;
    return decode_entities($markup);
}

my $path = '/';
while ($path) {
    my $page = fetch($path);
    while ($page =~ m{<tr><td><a href="([^"]+)">([^<]+)</a></td><td>(\d+)/(\d+)/(\d+)</td><td>(.*?)</td></tr>}g) {
        my ($link, $reference, $day, $month, $year, $address) = ($1, $2, $3, $4, $5, $6);
        my %details = fetch($link) =~ m{<th>(\w+)</th><td>(.*?)</td>}g;
        (my $cost = $details{Cost}) =~ s/[\$,]//g;
        $database->do(
            'INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?, CAST(? AS INTEGER))', undef, $reference, text($address),
            sprintf('%d-%02d-%02d', $year, $month, $day), text($details{Description}), $cost, $details{Decided} eq 'yes' ? 1 : 0
        );
    }
    ($path) = $page =~ m{rel="next" href="([^"]+)"};
}
