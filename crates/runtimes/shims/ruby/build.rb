# Installs what the scraper's Gemfile names into /build.
require "fileutils"

begin
  require "bundler"
rescue LoadError
  abort "bundler is not installed on this machine: ask its operator for the package ruby-bundler"
end

FileUtils.cp("/shims/ruby/Gemfile", "/build/Gemfile")
FileUtils.cp("/app/Gemfile.lock", "/build/Gemfile.lock") if File.file?("/app/Gemfile.lock")
is_installed = system(RbConfig.ruby, "/shims/bin/bundle", "install")
FileUtils.rm_rf(ENV.fetch("BUNDLE_USER_HOME"))
exit is_installed
