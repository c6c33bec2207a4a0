use std::collections::BTreeMap;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::DetectError;
use crate::folder::{Folder, add};
use crate::installed::{self, Interpreter};
use crate::manifest::{Build, Manifest};
use crate::plan::Plan;
use crate::shims;
use crate::versions::Wanted;

/// Where programs are inside every sandbox.
const USUAL_PATH: [&str; 4] = ["/shims/bin", "/usr/local/bin", "/usr/bin", "/bin"];

/// One language on this machine.
pub(crate) struct Runtime {
    pub(crate) manifest: Manifest,
    installed: Vec<Interpreter>,
}

/// What makes a folder a scraper.
pub(crate) struct Found<'a> {
    /// As [`Plan::language`] has it.
    pub(crate) language: &'a str,
    /// The file.
    pub(crate) file: &'a str,
    /// Whose environment and dependencies it has, if anybody's.
    pub(crate) runtime: Option<&'a Runtime>,
    /// How to start it, where that is not the runtime's matter.
    pub(crate) command: Option<Vec<String>>,
}

impl Runtime {
    pub(crate) fn search(manifest: Manifest, folders: &[PathBuf]) -> Self {
        let installed = installed::find(&manifest, folders);
        Self { manifest, installed }
    }

    pub(crate) fn describe(&self) -> (String, Result<Vec<String>, String>) {
        let versions: Vec<String> = self
            .installed
            .iter()
            .map(|found| found.version.to_string())
            .collect();
        let is_installed = !versions.is_empty();
        let described = is_installed
            .then_some(versions)
            .ok_or_else(|| self.manifest.install.clone());
        (self.manifest.name.clone(), described)
    }

    pub(crate) fn has_dependencies(&self, folder: Folder<'_>) -> bool {
        self.manifest.build.files.iter().any(|file| folder.has(file))
    }

    pub(crate) fn plan(&self, folder: Folder<'_>, found: &Found<'_>) -> Result<Plan, DetectError> {
        let manifest = &self.manifest;
        let wanted = Wanted::of(folder, &manifest.versions)?;
        let nearest = installed::nearest(&self.installed, wanted.as_ref());
        let chosen = nearest.ok_or_else(|| self.not_installed())?;
        let notice = wanted.and_then(|wanted| wanted.notice(&chosen.version));
        let prefix = Some(&chosen.prefix).filter(|_| !chosen.is_below_usr());
        let mut plan = Plan {
            language: found.language.to_owned(),
            recognised: format!("{}, {} {}", found.file, manifest.name, chosen.version),
            notices: notice.into_iter().collect(),
            build: Vec::new(),
            build_key: self.build_key(folder, chosen)?,
            environment: environment_of(manifest.environment.clone(), &self.program_folders(chosen)),
            run: filled(&manifest.run, chosen),
            folders: Vec::new(),
            needs: prefix.into_iter().cloned().collect(),
        };
        if self.has_dependencies(folder) {
            manifest.build.add_to(&mut plan, chosen);
        }
        if let Some(command) = &found.command {
            plan.run.clone_from(command);
            if found.language == manifest.language {
                plan.recognised.push_str(", started as Procfile says");
            }
        }
        Ok(plan)
    }

    fn not_installed(&self) -> DetectError {
        DetectError::NotInstalled {
            language: self.manifest.name.clone(),
            remedy: self.manifest.install.clone(),
        }
    }

    /// Where programs of the language are, those of dependencies first.
    fn program_folders(&self, chosen: &Interpreter) -> Vec<String> {
        let own = chosen.program.parent().filter(|_| !chosen.is_below_usr());
        let own = own.map(|folder| folder.display().to_string());
        self.manifest.path.iter().cloned().chain(own).collect()
    }

    fn build_key(&self, folder: Folder<'_>, chosen: &Interpreter) -> Result<String, DetectError> {
        let program = chosen.program.as_os_str().as_encoded_bytes();
        let mut parts = vec![
            self.manifest.text.as_bytes().to_vec(),
            chosen.version.to_string().into_bytes(),
            program.to_vec(),
        ];
        let build = &self.manifest.build;
        let mut is_local = false;
        for file in build.files.iter().chain(&build.settings) {
            let Some(text) = folder.read(file)? else { continue };
            // Every line begins behind a line feed.
            let text = format!("\n{text}");
            is_local |= build.local.iter().any(|word| text.contains(word.as_str()));
            parts.extend([file.clone().into_bytes(), text.into_bytes()]);
        }
        if is_local {
            let mut digest = Sha256::new();
            folder.digest(&mut digest)?;
            parts.push(digest.finalize().to_vec());
        }
        Ok(key(&parts))
    }
}

impl Build {
    /// What a scraper with dependencies has more than others.
    fn add_to(&self, plan: &mut Plan, chosen: &Interpreter) {
        plan.build = self
            .commands
            .iter()
            .map(|command| filled(command, chosen))
            .collect();
        plan.environment.extend(self.environment.clone());
        plan.folders.clone_from(&self.folders);
        if let Some(run) = &self.run {
            plan.run = filled(run, chosen);
        }
    }
}

/// A key of these parts and the shims, which hold the programs that build.
pub(crate) fn key(parts: &[Vec<u8>]) -> String {
    let mut digest = Sha256::new();
    shims::digest(&mut digest);
    for part in parts {
        add(&mut digest, part);
    }
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn filled(command: &[String], chosen: &Interpreter) -> Vec<String> {
    let program = chosen.program.display().to_string();
    command
        .iter()
        .map(|word| word.replace("{program}", &program))
        .collect()
}

pub(crate) fn environment_of(
    variables: BTreeMap<String, String>,
    program_folders: &[String],
) -> Vec<(String, String)> {
    let usual = USUAL_PATH.map(str::to_owned);
    let path: Vec<String> = program_folders.iter().cloned().chain(usual).collect();
    let path = ("PATH".to_owned(), path.join(":"));
    variables.into_iter().chain([path]).collect()
}
