# What a scraper prints is seen at once, though it goes to a pipe.
$stdout.sync = true
