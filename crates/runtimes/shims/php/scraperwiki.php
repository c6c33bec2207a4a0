<?php
// Haul's scraperwiki for PHP 8: fetch pages with scrape, keep rows in data.sqlite.
//
// Tables and columns appear as they are needed. Every call is a transaction of its own, unless the scraper began one with
// sqliteexecute("BEGIN").

declare(strict_types=1);

class scraperwiki
{
    private const AGENT = 'Mozilla/5.0 (compatible; Haul)';
    private const TIMEOUT_SECONDS = 60;
    private const MOST_REDIRECTS = 10;

    /** Returns what is at the address, whatever the status. Options of curl may be given: [CURLOPT_POSTFIELDS => ...]. */
    public static function scrape(string $url, array $curlOptions = []): string
    {
        if (!function_exists('curl_init')) {
            throw new RuntimeException('scraperwiki::scrape needs curl: install the package php-curl');
        }
        $curl = curl_init($url);
        curl_setopt_array($curl, $curlOptions + [
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => true,
            CURLOPT_MAXREDIRS => self::MOST_REDIRECTS,
            CURLOPT_TIMEOUT => self::TIMEOUT_SECONDS,
            CURLOPT_ENCODING => '',
            CURLOPT_USERAGENT => self::AGENT,
        ]);
        $content = curl_exec($curl);
        if ($content === false) {
            throw new RuntimeException("$url: " . curl_error($curl));
        }
        return $content;
    }

    /**
     * Saves one row (an array by names) or many (a list of such arrays) in one transaction. A row whose unique keys are
     * those of a stored row changes that row in place; columns that it does not name stay.
     */
    public static function save_sqlite(
        array|string $unique_keys,
        array|object $data,
        string $table_name = 'data',
        int $verbose = 0
    ): void {
        $isOne = is_object($data) || !isset($data[0]) || !(is_array($data[0]) || is_object($data[0]));
        $rows = $isOne ? ($data === [] ? [] : [$data]) : $data;
        $table = new ScraperwikiTable(ScraperwikiStore::open(), $table_name);
        ScraperwikiStore::whole(function () use ($table, $unique_keys, $rows) {
            foreach ($rows as $row) {
                $table->upsert((array) $unique_keys, (array) $row);
            }
        });
    }

    /** The first of these libraries had a date where the table is now. */
    public static function save(array|string $unique_keys, array|object $data, mixed $table_name = 'data'): void
    {
        self::save_sqlite($unique_keys, $data, is_string($table_name) ? $table_name : 'data');
    }

    /** Returns the rows, as arrays by names, of `SELECT query`; a whole SELECT or WITH statement works too. */
    public static function select(string $query, mixed $data = null): array
    {
        $whole = preg_match('/\A\s*(select|with)\b/i', $query) ? $query : "SELECT $query";
        $result = ScraperwikiStore::run($whole, $data);
        $rows = [];
        while ($row = $result->fetchArray(SQLITE3_ASSOC)) {
            $rows[] = $row;
        }
        return $rows;
    }

    /** Executes any statement and returns an object: `keys` are the columns, `data` the rows as lists. */
    public static function sqliteexecute(string $query, mixed $data = null, int $verbose = 0): object
    {
        $result = ScraperwikiStore::run($query, $data);
        $found = (object) ['keys' => [], 'data' => []];
        for ($column = 0; $column < $result->numColumns(); $column++) {
            $found->keys[] = $result->columnName($column);
        }
        while ($found->keys && $row = $result->fetchArray(SQLITE3_NUM)) {
            $found->data[] = $row;
        }
        return $found;
    }

    /** Every call is written at once; scrapers that ask for it anyway are not disturbed. */
    public static function sqlitecommit(): void
    {
    }

    /** Keeps one value from run to run. */
    public static function save_var(string $name, mixed $value): void
    {
        self::sqliteexecute('CREATE TABLE IF NOT EXISTS swvariables (name TEXT PRIMARY KEY, value_blob BLOB, type TEXT)');
        $row = ['name' => $name, 'value_blob' => $value, 'type' => ScraperwikiValue::kind($value)];
        self::save_sqlite(['name'], $row, 'swvariables');
    }

    /** Returns the value that save_var kept under this name, with its type. */
    public static function get_var(string $name, mixed $default = null): mixed
    {
        if (!isset(self::show_tables()['swvariables'])) {
            return $default;
        }
        $found = self::select('type, value_blob FROM swvariables WHERE name = ?', [$name]);
        return $found ? ScraperwikiValue::restored((string) $found[0]['type'], $found[0]['value_blob']) : $default;
    }

    /** Returns the statement that made each table, by the table's name. */
    public static function show_tables(): array
    {
        return array_column(self::select("name, sql FROM sqlite_master WHERE type = 'table'"), 'sql', 'name');
    }

    /** Returns what SQLite knows of each column, as arrays with name, type and so on. */
    public static function table_info(string $name): array
    {
        return self::select('* FROM pragma_table_info(?)', [$name]);
    }
}

/** The connection. */
final class ScraperwikiStore
{
    private static ?SQLite3 $database = null;

    public static function open(): SQLite3
    {
        if (self::$database === null) {
            if (!class_exists('SQLite3')) {
                throw new RuntimeException('scraperwiki needs SQLite for PHP: install the package php-sqlite3');
            }
            self::$database = new SQLite3('data.sqlite');
            self::$database->enableExceptions(true);
            self::$database->busyTimeout(60_000);
            // What a run leaves is checked and copied when it has ended, so no commit has to wait for the disk.
            self::$database->exec('PRAGMA synchronous = OFF');
        }
        return self::$database;
    }

    public static function run(string $query, mixed $data = null): SQLite3Result
    {
        $statement = self::open()->prepare($query);
        $values = is_array($data) ? $data : ($data === null ? [] : [$data]);
        foreach ($values as $name => $value) {
            $statement->bindValue(is_int($name) ? $name + 1 : $name, ...ScraperwikiValue::stored($value));
        }
        return $statement->execute();
    }

    /** What is done inside is done whole or not at all, in a transaction of its own or the scraper's. */
    public static function whole(callable $body): void
    {
        $database = self::open();
        $database->exec('SAVEPOINT save');
        try {
            $body();
            $database->exec('RELEASE save');
        } catch (Throwable $error) {
            self::goBack($database);
            throw $error;
        }
    }

    /** When the disk is full SQLite itself has rolled back, and would say so in place of the cause. */
    private static function goBack(SQLite3 $database): void
    {
        try {
            $database->exec('ROLLBACK TO save; RELEASE save');
        } catch (Exception) {
        }
    }
}

/** A table that grows with its rows. Names of columns differ by more than the case of ASCII letters. */
final class ScraperwikiTable
{
    /** @var array<string, string> */
    private array $columns = [];
    /** @var array<string, SQLite3Stmt> */
    private array $statements = [];

    public function __construct(private SQLite3 $database, private string $name)
    {
        foreach (scraperwiki::table_info($name) as $column) {
            $this->columns[self::folded($column['name'])] = $column['name'];
        }
    }

    public function upsert(array $keys, array $row): void
    {
        $cells = self::cells($row);
        foreach ($keys as $key) {
            if (!isset($cells[self::folded((string) $key)][1])) {
                throw new InvalidArgumentException("the row has no value for $key, which is one of the unique keys");
            }
        }
        if (!$cells) {
            return;
        }
        $this->grow($cells);
        $names = array_map(fn($folded) => $this->columns[$folded], array_map('strval', array_keys($cells)));
        $keys = array_map(fn($key) => $this->columns[self::folded((string) $key)], $keys);
        sort($keys);
        $statement = $this->statement($names, $keys);
        foreach (array_values($cells) as $index => [, $value]) {
            $statement->bindValue($index + 1, ...ScraperwikiValue::stored($value));
        }
        $statement->execute();
    }

    /** The row by folded names; of two names that are one column the last wins. */
    private static function cells(array $row): array
    {
        $cells = [];
        foreach ($row as $name => $value) {
            if ($name === '') {
                throw new InvalidArgumentException('a column has no name');
            }
            $cells[self::folded((string) $name)] = [(string) $name, $value];
        }
        return $cells;
    }

    private function grow(array $cells): void
    {
        $new = array_diff_key($cells, $this->columns);
        if (!$new) {
            return;
        }
        $declared = [];
        foreach ($new as [$name, $value]) {
            $declared[] = rtrim(self::quoted($name) . ' ' . ScraperwikiValue::declared($value));
        }
        $table = self::quoted($this->name);
        if (!$this->columns) {
            $this->database->exec("CREATE TABLE $table (" . implode(', ', $declared) . ')');
        } else {
            foreach ($declared as $column) {
                $this->database->exec("ALTER TABLE $table ADD COLUMN $column");
            }
        }
        foreach ($new as $folded => [$name]) {
            $this->columns[$folded] = $name;
        }
    }

    private function statement(array $names, array $keys): SQLite3Stmt
    {
        $slot = json_encode([$names, $keys], JSON_INVALID_UTF8_SUBSTITUTE);
        if (!isset($this->statements[$slot])) {
            $this->index($keys);
            $this->statements[$slot] = $this->database->prepare($this->sql($names, $keys));
        }
        return $this->statements[$slot];
    }

    private function index(array $keys): void
    {
        if ($keys) {
            $index = self::quoted("$this->name (" . implode(', ', $keys) . ')');
            $table = self::quoted($this->name);
            $this->database->exec("CREATE UNIQUE INDEX IF NOT EXISTS $index ON $table (" . self::list($keys) . ')');
        }
    }

    private function sql(array $names, array $keys): string
    {
        $places = implode(', ', array_fill(0, count($names), '?'));
        $insert = 'INSERT INTO ' . self::quoted($this->name) . ' (' . self::list($names) . ") VALUES ($places)";
        if (!$keys) {
            return $insert;
        }
        $quoted = array_map(fn($name) => self::quoted($name), array_values(array_diff($names, $keys)));
        $changes = implode(', ', array_map(fn($name) => "$name = excluded.$name", $quoted));
        $action = $changes ? "UPDATE SET $changes" : 'NOTHING';
        return "$insert ON CONFLICT (" . self::list($keys) . ") DO $action";
    }

    private static function list(array $names): string
    {
        return implode(', ', array_map(fn($name) => self::quoted($name), $names));
    }

    private static function quoted(string $name): string
    {
        return '"' . str_replace('"', '""', $name) . '"';
    }

    private static function folded(string $name): string
    {
        return strtr($name, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz');
    }
}

/** PHP's values as SQLite's, and back. */
final class ScraperwikiValue
{
    private const JSON = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION
        | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR;

    public static function kind(mixed $value): string
    {
        return match (true) {
            $value === null => 'null',
            is_bool($value) => 'boolean',
            is_int($value) => 'integer',
            is_float($value) => 'real',
            $value instanceof DateTimeInterface => 'datetime',
            is_string($value) => preg_match('//u', $value) ? 'text' : 'blob',
            $value instanceof Stringable => 'text',
            default => 'json',
        };
    }

    /** The type of a column that first holds the value. One that holds nothing yet keeps whatever comes as it is. */
    public static function declared(mixed $value): string
    {
        $kind = self::kind($value);
        return ['null' => '', 'json' => 'text'][$kind] ?? $kind;
    }

    /** What SQLite gets, and as what: dates as ISO 8601, nested values as JSON. */
    public static function stored(mixed $value): array
    {
        return match (self::kind($value)) {
            'null' => [null, SQLITE3_NULL],
            'boolean', 'integer' => [(int) $value, SQLITE3_INTEGER],
            'real' => [$value, SQLITE3_FLOAT],
            'datetime' => [self::moment($value), SQLITE3_TEXT],
            'json' => [json_encode($value, self::JSON), SQLITE3_TEXT],
            'blob' => [$value, SQLITE3_BLOB],
            'text' => [(string) $value, SQLITE3_TEXT],
        };
    }

    /** The value of a variable. Other libraries name types in their own language's words. */
    public static function restored(string $kind, mixed $value): mixed
    {
        return match (strtolower($kind)) {
            'integer', 'int', 'long', 'fixnum', 'bignum' => (int) $value,
            'real', 'float', 'double' => (float) $value,
            'boolean', 'bool', 'trueclass', 'falseclass' => in_array(strtolower((string) $value), ['1', 'true'], true),
            'json' => json_decode($value, true),
            'date', 'datetime' => new DateTimeImmutable($value),
            default => $value,
        };
    }

    private static function moment(DateTimeInterface $time): string
    {
        return $time->format((int) $time->format('u') ? 'Y-m-d\TH:i:s.uP' : 'Y-m-d\TH:i:sP');
    }
}
