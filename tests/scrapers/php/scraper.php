<?php
// Planning applications, with scraperwiki.

require 'scraperwiki.php';

function fetch(string $path): DOMXPath
{
    $url = getenv('MORPH_SITE') . $path;
    echo "reading $url\n";
    $page = new DOMDocument();
    @$page->loadHTML(scraperwiki::scrape($url));
    return new DOMXPath($page);
}

function application(DOMElement $row): array
{
    $cells = $row->getElementsByTagName('td');
    $details = fetch($row->getElementsByTagName('a')->item(0)->getAttribute('href'));
    $detail = fn(string $name) => $details->evaluate("string(//tr[th='$name']/td)");
    [$day, $month, $year] = explode('/', $cells->item(1)->textContent);
    return [
        'id' => $cells->item(0)->textContent,
        'address' => $cells->item(2)->textContent,
        'received' => sprintf('%d-%02d-%02d', $year, $month, $day),
        'description' => $detail('Description'),
        'cost' => (float) str_replace(['$', ','], '', $detail('Cost')),
        'decided' => $detail('Decided') === 'yes',
    ];
}

$path = '/';
$count = 0;
while ($path) {
    $page = fetch($path);
    foreach ($page->query("//table[@id='applications']/tbody/tr") as $row) {
        scraperwiki::save_sqlite(['id'], application($row));
        $count++;
    }
    $path = $page->evaluate("string(//a[@rel='next']/@href)");
}
echo "saved $count applications\n";
