# What a scraper prints is seen at once, though it goes to a pipe.
package Haul::Live;
$| = 1;
1;
