# Planning applications, with Database::DumpTruck.
use strict;
use warnings;
use utf8;
use open ':std', ':encoding(UTF-8)';

use Database::DumpTruck;
use HTML::TreeBuilder;
use LWP::UserAgent;
use URI;

my $agent = LWP::UserAgent->new(timeout => 60);
my $data = Database::DumpTruck->new({ dbname => 'data.sqlite', table => 'data' });

sub fetch {
    my ($url) = @_;
    print "reading $url\n";
    my $answer = $agent->get($url);
    die "$url: " . $answer->status_line . "\n" unless $answer->is_success;
    return HTML::TreeBuilder->new_from_content($answer->decoded_content);
}

sub application {
    my ($url, $row) = @_;
    my ($reference, $received, $address) = map { $_->as_text } $row->look_down(_tag => 'td');
    my $page = fetch(URI->new_abs($row->look_down(_tag => 'a')->attr('href'), $url));
    my %details = map { $_->look_down(_tag => 'th')->as_text => $_->look_down(_tag => 'td')->as_text }
        $page->look_down(_tag => 'tr');
    my ($day, $month, $year) = split m{/}, $received;
    (my $cost = $details{Cost}) =~ s/[\$,]//g;
    return {
        id          => $reference,
        address     => $address,
        received    => sprintf('%d-%02d-%02d', $year, $month, $day),
        description => $details{Description},
        cost        => $cost + 0,
        decided     => $details{Decided} eq 'yes' ? 1 : 0,
    };
}

my ($url, $count) = (URI->new("$ENV{MORPH_SITE}/"), 0);
while ($url) {
    my $page = fetch($url);
    my @rows = grep { $_->look_down(_tag => 'td') } $page->look_down(_tag => 'tr');
    my @applications = map { application($url, $_) } @rows;
    $data->create_table($applications[0], 'data');
    $data->create_index(['id'], 'data', 'IF NOT EXISTS', 'UNIQUE');
    $data->upsert(\@applications);
    $count += @applications;
    my $next = $page->look_down(_tag => 'a', rel => 'next');
    $url = $next && URI->new_abs($next->attr('href'), $url);
}
print "saved $count applications\n";
