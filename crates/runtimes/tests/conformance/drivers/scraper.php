<?php
// Takes the steps of a case through Haul's scraperwiki and prints what each gave.

require 'scraperwiki.php';

const CALLS = [
    'save' => 'save',
    'select' => 'select',
    'execute' => 'sqliteexecute',
    'save_var' => 'save_var',
    'get_var' => 'get_var',
    'show_tables' => 'show_tables',
];

function read(mixed $value): mixed
{
    if (!is_array($value)) {
        return $value;
    }
    return match (true) {
        isset($value['$int']) => (int) $value['$int'],
        isset($value['$bytes']) => base64_decode($value['$bytes']),
        isset($value['$datetime']) => new DateTimeImmutable($value['$datetime']),
        default => array_map(read(...), $value),
    };
}

function written(mixed $value): mixed
{
    return match (true) {
        is_array($value) => array_map(written(...), $value),
        is_int($value) && abs($value) > 2 ** 53 => ['$int' => (string) $value],
        is_string($value) && !preg_match('//u', $value) => ['$bytes' => base64_encode($value)],
        $value instanceof DateTimeInterface => ['$datetime' => $value->format('Y-m-d\TH:i:sP')],
        default => $value,
    };
}

function result(string $call, array $arguments): mixed
{
    if ($call === 'scrape') {
        return written(scraperwiki::scrape(getenv('SITE') . $arguments[0]));
    }
    $given = call_user_func_array(['scraperwiki', CALLS[$call]], $arguments);
    if ($call === 'show_tables') {
        ksort($given);
        return array_keys($given);
    }
    return $call === 'execute' ? null : written($given);
}

$cases = json_decode(file_get_contents(getenv('CASES')), true);
foreach (array_column($cases, 'steps', 'name')[getenv('CASE')] as $step) {
    $call = array_key_first($step);
    try {
        $line = ['result' => result($call, read($step[$call]))];
    } catch (Exception $error) {
        $line = ['error' => $error->getMessage()];
    }
    echo json_encode($line, JSON_PRESERVE_ZERO_FRACTION), "\n";
}
