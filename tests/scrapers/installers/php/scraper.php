<?php
require 'vendor/autoload.php';
require 'scraperwiki.php';
scraperwiki::save_sqlite(['id'], ['id' => 1]);
echo DEP, ', and ', strtolower(scraperwiki::class), "\n";
