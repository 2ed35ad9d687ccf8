//! The store that a call uses, and what is left of it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::call::Player;
use super::clause::Clause;
use crate::json::Json;
use crate::outcome::{Content, FileLeft, Left};
use crate::vector::{Failure, FileBody, Kind};

impl Player<'_> {
    /// The store that the call uses.
    pub(super) fn load(&self) -> Result<Json, Failure> {
        let failed = match &self.record {
            _ if self.has(Clause::K13Unreadable) => Failure::Unavailable,
            Some(_) if self.vector.within_chain => Failure::Unavailable,
            _ => Failure::AuthenticationFailed,
        };
        let cae = self.vector.call.enables_cae();
        match self.vector.kind {
            Kind::Lookup => {
                if self.vector.cache_load_fails {
                    return Err(match &self.record {
                        None => Failure::Unavailable,
                        Some(_) => failed,
                    });
                }
                let cache = if cae {
                    &self.vector.cae_cache
                } else {
                    &self.vector.cache
                };
                let cache = cache.clone().unwrap_or_else(Json::empty_object);
                if cache.is_object() {
                    Ok(cache)
                } else {
                    Err(failed)
                }
            }
            Kind::File => {
                let constructor = &self.vector.constructor;
                let explicit = constructor.cache_name.is_some()
                    || constructor.allow_unencrypted_storage.is_some();
                if explicit && constructor.allow_unencrypted_storage != Some(true) {
                    return Err(Failure::Unavailable);
                }
                let Some(file) = self.vector.files.get(&self.file_name()) else {
                    return Ok(Json::empty_object());
                };
                self.parse(file).ok_or(failed)
            }
        }
    }

    pub(super) fn file_name(&self) -> String {
        let name = self.vector.constructor.cache_name.as_deref();
        let suffix = if self.vector.call.enables_cae() {
            "cae"
        } else {
            "nocae"
        };
        format!("{}.{suffix}", name.unwrap_or("msal.cache"))
    }

    pub(super) fn parse(&self, file: &FileBody) -> Option<Json> {
        let text = match (&file.json, &file.text, &file.base64) {
            (Some(json), ..) => json.to_string(),
            (_, Some(text), _) => text.clone(),
            (_, _, Some(base64)) => String::from_utf8(STANDARD.decode(base64).ok()?).ok()?,
            _ => return None,
        };
        if text.is_empty() {
            return Some(Json::empty_object());
        }
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if self.has(Clause::K13Bom) => rest,
            _ => &text,
        };
        Json::parse(text).filter(Json::is_object)
    }

    pub(super) fn left(&self) -> Result<Left, String> {
        let cae = self.vector.call.enables_cae();
        if self.vector.kind == Kind::File {
            let mut files = BTreeMap::new();
            for (name, file) in &self.vector.files {
                files.insert(name.clone(), FileLeft::of(file)?);
            }
            if let Some(changed) = &self.changed {
                let name = self.file_name();
                let old = files.get(&name).map(|file| file.mode.clone());
                let mode = match old {
                    Some(mode) if !self.has(Clause::K13Mode) => mode,
                    _ => "0600".to_owned(),
                };
                let content = Content::Json(changed.clone());
                files.insert(name, FileLeft { mode, content });
            }
            return Ok(Left::Files(files));
        }
        let cache = |cache: &Option<Json>, is_used: bool| {
            let changed = self.changed.clone().filter(|_| is_used);
            let cache = changed.or_else(|| cache.clone());
            cache.unwrap_or_else(Json::empty_object)
        };
        Ok(Left::Caches {
            nocae: cache(&self.vector.cache, !cae),
            cae: cache(&self.vector.cae_cache, cae),
        })
    }
}
