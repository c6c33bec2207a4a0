use strict;
use warnings;
use Database::DumpTruck;
use Dep;

Database::DumpTruck->new({ dbname => "data.sqlite" })->insert({ id => 1 });
print Dep::name(), ", and ", lc "Database::DumpTruck", "\n";
