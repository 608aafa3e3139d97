//! Builds from a tree of the repository, pushes, and reads back what the registry has.

use super::{Job, dockerfile, in_git};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::label::REVISION;
use crate::domain::id::CommitSha;
use crate::image::BuildRequest;
use crate::image::ignore::Ignore;
use crate::registry::Manifest;

impl Job<'_> {
    /// Builds `from` (a commit or a tree), pushes it under `tag`, and gives the manifest that the registry has.
    pub(super) async fn make(
        &self,
        tag: &str,
        from: &CommitSha,
        revision: &str,
    ) -> Result<Manifest, CommandError> {
        let request = self.request(tag, from, revision).await?;
        let repository = &self.supply.image.repository;
        let progress = &self.context.progress;
        progress.note(&format!("building and pushing {repository}:{tag} …"));
        let output = |line: &str| progress.output(line);
        let work = async {
            self.supply.builder.build(request, &output).await?;
            self.supply.builder.push(repository, tag, &output).await
        };
        tokio::select! {
            result = work => result?,
            () = self.context.interrupt.raised() => {
                return Err(CommandError::new(ErrorKind::Interrupted, "interrupted while building").hint("relman release"));
            }
        }
        let failed = |text: String| CommandError::new(ErrorKind::Failed, text);
        // Read back as a deploy will ask for it: by digest. A tag may be served by a cache that a digest is not in.
        let pushed = match self.resolve(tag).await? {
            Some(digest) => self.manifest(digest.as_str()).await?,
            None => None,
        };
        let Some(manifest) = pushed else {
            return Err(failed(format!("{repository}:{tag} is not in the registry after the push")));
        };
        match self.revision(&manifest).await? {
            Some(found) if found == revision => Ok(manifest),
            found => Err(failed(format!(
                "{repository}:{tag} is not what was pushed: its label {REVISION} is {}",
                found.as_deref().unwrap_or("missing")
            ))),
        }
    }

    async fn request(
        &self,
        tag: &str,
        from: &CommitSha,
        revision: &str,
    ) -> Result<BuildRequest, CommandError> {
        let image = &self.supply.image;
        let at = self.head.committed_at;
        let path = image.context.join(&image.dockerfile);
        let ignored = image.context.join(".dockerignore");
        let (tree, directory, name) = (from.clone(), image.context.clone(), image.dockerfile.clone());
        let (text, export, origin) = in_git(&self.repository, move |r| {
            let Some(text) = r.file(&tree, &path)? else { return Ok((None, Default::default(), None)) };
            let lines = r.file(&tree, &ignored)?.unwrap_or_default();
            let ignore = Ignore::parse(&String::from_utf8_lossy(&lines));
            let name = name.to_string_lossy().trim_start_matches("./").to_owned();
            let keep =
                |path: &str, _: bool| path == name || path == ".dockerignore" || !ignore.excludes(path);
            Ok((Some(text), r.export(&tree, &directory, at, &keep)?, r.remote("origin")?))
        })
        .await?;
        let Some(text) = text else {
            let place = image.context.join(&image.dockerfile);
            let text = format!("commit {} has no {}", self.head.commit.short(), place.display());
            return Err(
                CommandError::new(ErrorKind::Usage, text).hint("set image.context and image.dockerfile")
            );
        };
        for path in &export.submodules {
            self.context
                .progress
                .note(&format!("{path} is a submodule, and its files are not in the build context"));
        }
        for path in &export.pointers {
            self.context
                .progress
                .note(&format!("{path} is a Git LFS pointer, and goes into the build context as such"));
        }
        let mut labels = image_labels(&self.context.service.to_string(), revision, &at.to_string());
        if let Some(source) = self.args.source.clone().or(origin) {
            labels.insert("org.opencontainers.image.source".to_owned(), source);
        }
        if let Some(digest) = dockerfile::base_digest(&String::from_utf8_lossy(&text)) {
            labels.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_string());
        }
        let mut build_args = image.build_args.clone();
        build_args.insert("SOURCE_DATE_EPOCH".to_owned(), at.utc().timestamp().to_string());
        Ok(BuildRequest {
            context: export.tar,
            dockerfile: image.dockerfile.clone(),
            build_args,
            labels,
            reference: format!("{}:{tag}", image.repository),
        })
    }
}

fn image_labels(title: &str, revision: &str, created: &str) -> std::collections::BTreeMap<String, String> {
    [
        (REVISION, revision),
        ("org.opencontainers.image.created", created),
        ("org.opencontainers.image.title", title),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
