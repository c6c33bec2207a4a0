# Haul's ScraperWiki for Ruby: fetch pages with `scrape`, keep rows in data.sqlite.
#
# Tables and columns appear as they are needed. Every call is a transaction of its own, unless the scraper began one
# with `sqliteexecute("BEGIN")`.

require "date"
require "json"
require "net/http"
require "time"
require "uri"

begin
  require "sqlite3"
rescue LoadError
  abort "scraperwiki needs SQLite for Ruby: install the package ruby-sqlite3, or name the gem sqlite3 in the Gemfile"
end

module ScraperWiki
  AGENT = "Mozilla/5.0 (compatible; Haul)"
  TIMEOUT_SECONDS = 60
  MOST_REDIRECTS = 10

  module_function

  # Returns what is at the address, as a string. With `params` (a hash) it is a POST of a form. A status of 400 or more
  # raises Net::HTTPClientException or Net::HTTPFatalError.
  def scrape(url, params = nil, agent = nil)
    uri = URI(url)
    MOST_REDIRECTS.times do
      answer = Page.fetch(uri, params, agent || AGENT)
      return Page.text(answer) unless answer.is_a?(Net::HTTPRedirection) && answer["location"]

      uri = URI.join(uri, answer["location"])
      params = nil unless %w[307 308].include?(answer.code)
    end
    raise "#{url} redirects more than #{MOST_REDIRECTS} times"
  end

  # Saves one row (a hash) or many (an array of hashes) in one transaction. A row whose unique keys are those of a stored
  # row changes that row in place; columns that it does not name stay.
  def save_sqlite(unique_keys, data, table_name = nil, _verbose = nil)
    rows = data.is_a?(Hash) ? [data] : data.to_a
    keys = Array(unique_keys).map(&:to_s)
    table = Table.new(Store.database, (table_name || Store.default_table).to_s)
    Store.whole { rows.each { |row| table.upsert(keys, row) } }
  end

  # The first of these libraries had a date where the table is now.
  def save(unique_keys, data, table_name = nil, *)
    save_sqlite(unique_keys, data, table_name.is_a?(String) || table_name.is_a?(Symbol) ? table_name : nil)
  end

  # Returns the rows, as hashes, of `SELECT query`; a whole SELECT or WITH statement works too.
  def select(query, data = nil, _verbose = nil)
    whole = query.match?(/\A\s*(select|with)\b/i) ? query : "SELECT #{query}"
    sqliteexecute(whole, data)
  end

  # Executes any statement and returns its rows as hashes.
  def sqliteexecute(query, data = nil, _verbose = nil)
    names, *rows = Store.database.execute2(query, Store.bound(data))
    rows.map { |row| names.zip(row).to_h }
  end

  # Keeps one value from run to run.
  def save_var(name, value, _verbose = nil)
    sqliteexecute("CREATE TABLE IF NOT EXISTS swvariables (name TEXT PRIMARY KEY, value_blob BLOB, type TEXT)")
    row = { "name" => name.to_s, "value_blob" => value, "type" => Value.kind(value) }
    save_sqlite(["name"], row, "swvariables")
  end

  # Returns the value that `save_var` kept under this name, with its type.
  def get_var(name, default = nil, _verbose = nil)
    return default unless show_tables.key?("swvariables")

    found = select("type, value_blob FROM swvariables WHERE name = ?", [name.to_s]).first
    found ? Value.restored(found["type"], found["value_blob"]) : default
  end

  # Returns the statement that made each table, by the table's name.
  def show_tables
    select("name, sql FROM sqlite_master WHERE type = 'table'").to_h { |row| [row["name"], row["sql"]] }
  end

  # Returns what SQLite knows of each column, as hashes with "name", "type" and so on.
  def table_info(name)
    select("* FROM pragma_table_info(?)", [name.to_s])
  end

  # Takes { db: "data.sqlite", default_table_name: "data" }, which are the defaults.
  def config=(options)
    Store.configure(options[:db], options[:default_table_name])
  end

  def close_sqlite
    Store.close
  end

  # Fetching a page.
  module Page
    TEXT = %r{\Atext/|[/+](json|xml)\z|/javascript\z}

    def self.fetch(uri, params, agent)
      request = params ? Net::HTTP::Post.new(uri) : Net::HTTP::Get.new(uri)
      request.set_form_data(params) if params
      request["User-Agent"] = agent
      limits = { open_timeout: TIMEOUT_SECONDS, read_timeout: TIMEOUT_SECONDS }
      answer = Net::HTTP.start(uri.hostname, uri.port, use_ssl: uri.scheme == "https", **limits) { |http| http.request(request) }
      answer.value unless answer.is_a?(Net::HTTPRedirection)
      answer
    end

    def self.text(answer)
      body = answer.body.to_s
      charset = answer.type_params["charset"] || body[0, 4096].b[/<meta[^>]+charset\s*=\s*["']?([\w-]+)/in, 1]
      return body unless charset || answer.content_type.to_s.match?(TEXT)

      decoded(body, charset || "UTF-8")
    end

    def self.decoded(body, charset)
      # Pages that say Latin 1 mean Windows 1252 (WHATWG, Encoding).
      charset = "Windows-1252" if charset.match?(/\A(iso-8859-1|latin-?1|(us-)?ascii)\z/i)
      body.encode("UTF-8", charset, invalid: :replace, undef: :replace).scrub
    rescue EncodingError
      body.dup.force_encoding("UTF-8").scrub
    end
  end

  # The connection.
  module Store
    @file = "data.sqlite"
    @default_table = "data"

    class << self
      attr_reader :default_table

      def configure(file, default_table)
        close
        @file = file.to_s.delete_prefix("sqlite:///") if file
        @default_table = default_table.to_s if default_table
      end

      def database
        @database ||= SQLite3::Database.new(@file).tap do |database|
          database.busy_timeout(60_000)
          # What a run leaves is checked and copied when it has ended, so no commit has to wait for the disk.
          database.execute("PRAGMA synchronous = OFF")
        end
      end

      def close
        @database&.close
        @database = nil
      end

      # What is done inside is done whole or not at all, in a transaction of its own or the scraper's.
      def whole
        database.execute("SAVEPOINT save")
        yield
        database.execute("RELEASE save")
      rescue StandardError
        # When the disk is full SQLite itself has rolled back, and there is nothing to go back to.
        database.execute_batch("ROLLBACK TO save; RELEASE save") if database.transaction_active?
        raise
      end

      def bound(data)
        return data.transform_values { |value| Value.stored(value) } if data.is_a?(Hash)

        values = data.is_a?(Array) ? data : [data].compact
        values.map { |value| Value.stored(value) }
      end
    end
  end

  # A table that grows with its rows. Names of columns differ by more than the case of ASCII letters.
  class Table
    def initialize(database, name)
      @database = database
      @name = name
      found = database.execute("SELECT name FROM pragma_table_info(?)", [name])
      @columns = found.to_h { |(column)| [folded(column), column] }
      @indexed = []
    end

    def upsert(keys, row)
      cells = cells_of(row)
      lacking = keys.find { |key| cells.fetch(folded(key), [key, nil]).last.nil? }
      raise ArgumentError, "the row has no value for #{lacking}, which is one of the unique keys" if lacking
      return if cells.empty?

      grow(cells)
      keys = keys.map { |key| @columns[folded(key)] }.sort
      index(keys)
      values = cells.values.map { |_, value| Value.stored(value) }
      @database.execute(statement(cells.keys.map { |name| @columns[name] }, keys), values)
    end

    private

    # The row by folded names; of two names that are one column the last wins.
    def cells_of(row)
      cells = row.to_h { |name, value| [folded(name.to_s), [name.to_s, value]] }
      raise ArgumentError, "a column has no name" if cells.key?("")

      cells
    end

    def grow(cells)
      new = cells.reject { |name, _| @columns.key?(name) }
      declared = new.values.map { |name, value| "#{quoted(name)} #{Value.declared(value)}".rstrip }
      if @columns.empty?
        @database.execute("CREATE TABLE #{quoted(@name)} (#{declared.join(', ')})")
      else
        declared.each { |column| @database.execute("ALTER TABLE #{quoted(@name)} ADD COLUMN #{column}") }
      end
      new.each { |folded, (name, _)| @columns[folded] = name }
    end

    def index(keys)
      return if keys.empty? || @indexed.include?(keys)

      name = quoted("#{@name} (#{keys.join(', ')})")
      @database.execute("CREATE UNIQUE INDEX IF NOT EXISTS #{name} ON #{quoted(@name)} (#{list(keys)})")
      @indexed << keys
    end

    def statement(names, keys)
      insert = "INSERT INTO #{quoted(@name)} (#{list(names)}) VALUES (#{(['?'] * names.size).join(', ')})"
      return insert if keys.empty?

      changes = (names - keys).map { |name| "#{quoted(name)} = excluded.#{quoted(name)}" }
      action = changes.empty? ? "NOTHING" : "UPDATE SET #{changes.join(', ')}"
      "#{insert} ON CONFLICT (#{list(keys)}) DO #{action}"
    end

    def list(names)
      names.map { |name| quoted(name) }.join(", ")
    end

    def quoted(name)
      "\"#{name.gsub('"', '""')}\""
    end

    def folded(name)
      name.downcase(:ascii)
    end
  end

  # Ruby's values as SQLite's, and back.
  module Value
    INTEGERS = (-(2**63)...2**63).freeze

    def self.kind(value)
      case value
      when nil then "null"
      when true, false then "boolean"
      when Integer then "integer"
      when Float then "real"
      when Time, DateTime then "datetime"
      when Date then "date"
      when Hash, Array then "json"
      when String then text?(value) ? "text" : "blob"
      else "text"
      end
    end

    # The type of a column that first holds the value. One that holds nothing yet keeps whatever comes as it is.
    def self.declared(value)
      return "text" if value.is_a?(Integer) && !INTEGERS.cover?(value)

      { "null" => "", "json" => "text" }.fetch(kind(value), kind(value))
    end

    # What SQLite gets: dates as ISO 8601, nested values as JSON, integers that do not fit as text.
    def self.stored(value)
      case kind(value)
      when "null", "real" then value
      when "boolean" then value ? 1 : 0
      when "integer" then INTEGERS.cover?(value) ? value : value.to_s
      when "date" then value.iso8601
      when "datetime" then moment(value.to_time)
      when "json" then JSON.generate(value)
      when "blob" then SQLite3::Blob.new(value)
      else text(value.to_s)
      end
    end

    # The value of a variable. Other libraries name types in their own language's words.
    def self.restored(kind, value)
      value = text(value) if value.is_a?(String) && kind != "blob"
      case kind.to_s.downcase
      when "integer", "int", "long", "fixnum", "bignum" then value.to_i
      when "real", "float", "double" then value.to_f
      when "boolean", "bool", "trueclass", "falseclass" then %w[1 true].include?(value.to_s.downcase)
      when "json" then JSON.parse(value)
      when "date" then Date.iso8601(value)
      when "datetime" then Time.iso8601(value)
      else value
      end
    end

    def self.moment(time)
      time.strftime(time.nsec.zero? ? "%Y-%m-%dT%H:%M:%S%:z" : "%Y-%m-%dT%H:%M:%S.%6N%:z")
    end

    # Pages often come as binary strings that hold UTF-8.
    def self.text?(string)
      string.encoding != Encoding::BINARY || string.dup.force_encoding("UTF-8").valid_encoding?
    end

    def self.text(string)
      return string.dup.force_encoding("UTF-8") if string.encoding == Encoding::BINARY

      string.encode("UTF-8", invalid: :replace, undef: :replace).scrub
    end
  end
end
