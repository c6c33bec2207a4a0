<?php
// Installs what composer.json names into /build/vendor.

declare(strict_types=1);

exec('command -v composer', $found, $status);
if ($status !== 0) {
    fwrite(STDERR, "composer is not installed on this machine: ask its operator for the package composer\n");
    exit(1);
}
// Whatever PHP the file names, the nearest installed one runs it.
passthru('composer install --no-dev --no-progress --ignore-platform-req=php', $status);
exit($status);
