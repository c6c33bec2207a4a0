use anyhow::Result;
use catalog::{Catalog, CatalogError, Package, Published};
use model::Host;
use serde_json::json;

use crate::assembly::{self, Company, Stores};
use crate::cli;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};

/// Packages that are read at a time.
const PAGE: usize = 1_000;

/// Lists, shows, makes and removes what is published.
pub(crate) async fn run(config: &Config, output: Output, action: cli::Package) -> Result<Exit> {
    let folder = DataFolder::existing(&config.data)?;
    let _lock = folder.lock("haul package")?;
    let stores = Stores::open(&folder, config, Company::Alone)?;
    let catalog = &assembly::open_catalog(&folder, config, &stores)?;
    catalog.reconcile().await?;
    match action {
        cli::Package::List => list(catalog, output).await,
        cli::Package::Show { name } => show(catalog, output, &named(name)?).await,
        cli::Package::Collect { name, hosts } => collect(catalog, &name, &hosts).await,
        cli::Package::Rm { name } => remove(catalog, &named(name)?).await,
    }
}

fn named(name: String) -> Result<Published> {
    Ok(Published::try_from(name).map_err(|error| Usage(error.to_string()))?)
}

async fn list(catalog: &Catalog, output: Output) -> Result<Exit> {
    let mut after: Option<String> = None;
    loop {
        let (packages, _) = catalog.packages(after.as_deref(), PAGE).await?;
        let is_first = after.is_none();
        let Some(last) = packages.last() else {
            return Ok(if is_first { Exit::Nothing } else { Exit::Done });
        };
        after = Some(last.name.clone());
        for package in &packages {
            write(output, package)?;
        }
    }
}

fn write(output: Output, package: &Package) -> Result<()> {
    if output.json {
        return output.json(&json!({
            "name": package.name,
            "dependencies": package.dependencies,
            "dependents": package.dependents,
        }));
    }
    let needs = match package.dependencies.len() {
        0 => String::new(),
        _ => format!("  needs {}", package.dependencies.join(" ")),
    };
    output.line(&format!("{}{needs}", package.name))
}

async fn show(catalog: &Catalog, output: Output, name: &Published) -> Result<Exit> {
    let Some(package) = catalog.package(name).await? else {
        return Ok(unknown(name));
    };
    write(output, &package)?;
    if !output.json {
        for dependent in &package.dependents {
            output.line(&format!("  needed by {dependent}"))?;
        }
    }
    Ok(Exit::Done)
}

fn unknown(name: &Published) -> Exit {
    output::say(&format!(
        "{name} is not published; `haul package list` lists what is"
    ));
    Exit::Nothing
}

async fn collect(catalog: &Catalog, name: &str, hosts: &[String]) -> Result<Exit> {
    let name = Published::collection(name).map_err(|error| Usage(error.to_string()))?;
    let hosts: Vec<Host> = hosts
        .iter()
        .map(|host| Host::new(host))
        .collect::<Result<_, _>>()?;
    catalog.collect(&name, &hosts).await?;
    output::say(&format!("{name} keeps {} packs", hosts.len()));
    Ok(Exit::Done)
}

async fn remove(catalog: &Catalog, name: &Published) -> Result<Exit> {
    match catalog.remove(name).await {
        Err(CatalogError::Unknown(name)) => Ok(unknown(&name)),
        removed => {
            removed?;
            output::say(&format!("{name} is removed"));
            Ok(Exit::Done)
        }
    }
}
