<?php
// Planning applications, with what PHP brings.

$database = new PDO('sqlite:data.sqlite', null, null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$database->exec('CREATE TABLE IF NOT EXISTS data
    (id TEXT PRIMARY KEY, address TEXT, received DATE, description TEXT, cost REAL, decided BOOLEAN)');
$insert = $database->prepare('INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, CAST(? AS REAL), CAST(? AS INTEGER))');

function fetch(string $path): string
{
    $url = getenv('MORPH_SITE') . $path;
    echo "reading $url\n";
    return file_get_contents($url);
}

function text(string $markup): string
{
    return html_entity_decode(strip_tags($markup), ENT_QUOTES | ENT_HTML5, 'UTF-8');
}

$path = '/';
while ($path) {
    $page = fetch($path);
    preg_match_all(
        '~<tr><td><a href="([^"]+)">([^<]+)</a></td><td>(\d+)/(\d+)/(\d+)</td><td>(.*?)</td></tr>~',
        $page,
        $rows,
        PREG_SET_ORDER
    );
    foreach ($rows as [, $link, $reference, $day, $month, $year, $address]) {
        preg_match_all('~<th>(\w+)</th><td>(.*?)</td>~', fetch($link), $found);
        $details = array_combine($found[1], $found[2]);
        $insert->execute([
            $reference,
            text($address),
            sprintf('%d-%02d-%02d', $year, $month, $day),
            text($details['Description']),
            str_replace(['$', ','], '', $details['Cost']),
            $details['Decided'] === 'yes' ? 1 : 0,
        ]);
    }
    $path = preg_match('~rel="next" href="([^"]+)"~', $page, $next) ? $next[1] : null;
}
