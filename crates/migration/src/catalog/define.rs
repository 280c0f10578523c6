//! From rows to objects: each kind defines its own, and what may hang on all of them is added here.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Oid;
use super::kinds;
use super::rows::{Acl, Named};
use super::sources::{FIRST_USER_OID, Rows};
use super::{ObjectId, Unmodelled};

/// What a kind says of one object.
pub struct Object<'a> {
    /// The system catalog in which it stands; empty if neither comments nor extensions can refer to it.
    pub class: &'static str,
    /// Its number there.
    pub oid: Oid,
    /// The number of the column, or 0.
    pub sub: i32,
    /// One of the kind's names.
    pub kind: &'static str,
    /// Its name within the kind.
    pub identity: String,
    /// `None`: its parent's definition says all there is to say, but it may bear a comment or privileges.
    pub definition: Option<String>,
    /// The owner; 0 if it has none.
    pub owner: Oid,
    /// Its access list, if it is not the one that it was given by itself.
    pub acl: Option<&'a Acl>,
    /// The letter of its kind, as for `acldefault`.
    pub letter: char,
}

impl Object<'_> {
    /// An object without any content yet.
    pub fn of(class: &'static str, oid: Oid) -> Self {
        Self {
            class,
            oid,
            sub: 0,
            kind: "",
            identity: String::new(),
            definition: None,
            owner: 0,
            acl: None,
            letter: ' ',
        }
    }
}

/// Objects as they are found.
pub struct Objects<'a> {
    rows: &'a Rows,
    /// Their definitions.
    pub found: BTreeMap<ObjectId, String>,
    /// What no definition describes.
    pub unmodelled: Vec<Unmodelled>,
}

impl<'a> Objects<'a> {
    /// Everything that these rows define.
    pub fn of_all(rows: &'a Rows) -> Self {
        let mut objects = Self::none(rows);
        for kind in kinds::all() {
            for oid in rows.keys(kind.root) {
                (kind.define)(rows, oid, &mut objects);
            }
        }
        objects
    }

    /// What these rows of sources define.
    pub fn of_roots(rows: &'a Rows, roots: &BTreeSet<(&'static str, Oid)>) -> Self {
        let mut objects = Self::none(rows);
        for kind in kinds::all() {
            for (_, oid) in roots.range((kind.root, 0)..=(kind.root, Oid::MAX)) {
                (kind.define)(rows, *oid, &mut objects);
            }
        }
        objects
    }

    fn none(rows: &'a Rows) -> Self {
        Self {
            rows,
            found: BTreeMap::new(),
            unmodelled: Vec::new(),
        }
    }

    /// Adds an object, and what hangs on it.
    pub fn add(&mut self, object: Object<'_>) {
        let rows = self.rows;
        let target = if object.identity.is_empty() {
            object.kind.to_owned()
        } else {
            format!("{} {}", object.kind, object.identity)
        };
        if object.oid != 0 {
            self.add_comments(&object, &target);
            for label in rows.labels_of(object.class, object.oid, object.sub) {
                let identity = format!("for {} on {target}", label.provider);
                self.insert("security label", identity, label.label.clone());
            }
            for dependency in rows.extension_dependencies.of(object.oid) {
                if dependency.class == object.class && object.sub == 0 {
                    let extension = rows.extensions.get(dependency.extension);
                    let extension = extension.map(|extension| extension.name.as_str()).unwrap_or_default();
                    self.insert(
                        "extension dependency",
                        format!("of {target} on {extension}"),
                        String::new(),
                    );
                }
            }
        }
        self.add_privileges(&target, object.owner, object.letter, object.acl);
        if let Some(definition) = object.definition {
            // Whoever runs the migrations owns what they make; other owners are said by a statement, or by nobody.
            let has_owner = object.owner != 0 && object.sub == 0 && object.kind != "index";
            if has_owner && (object.oid >= FIRST_USER_OID || object.kind == "schema") && !rows.is_migrator(object.owner)
            {
                self.insert("owner", format!("of {target}"), rows.role(object.owner));
            }
            self.insert(object.kind, object.identity, definition);
        }
    }

    /// Adds an object of one row that stands in a schema of users, or in none, and is no extension's.
    pub fn add_named(&mut self, kind: &'static str, class: &'static str, oid: Oid, row: Option<&Named>) {
        let Some(row) = row.filter(|_| !self.rows.is_member(class, oid)) else {
            return;
        };
        let schema = self.rows.schema(row.namespace);
        let identity = match schema {
            Some(_) if class == "pg_operator" => row.name.clone(),
            Some(schema) => format!("{schema}.{}", row.name),
            None if row.namespace != 0 || oid < FIRST_USER_OID => return,
            None => row.name.clone(),
        };
        self.add(Object {
            kind,
            identity,
            definition: Some(row.definition.clone()),
            owner: row.owner,
            acl: row.acl.as_ref(),
            ..Object::of(class, oid)
        });
    }

    /// Adds what an access list grants otherwise than the object's kind does by itself.
    pub fn add_privileges(&mut self, target: &str, owner: Oid, letter: char, acl: Option<&Acl>) {
        let Some(acl) = acl else { return };
        let kind = if matches!(letter, 'D' | 'R') {
            "default privilege"
        } else {
            "privilege"
        };
        for (privilege, grantee, definition) in super::acl::differences(self.rows, target, owner, letter, acl) {
            self.insert(kind, format!("{privilege} on {target} to {grantee}"), definition);
        }
    }

    /// Something that has no words here.
    pub fn cannot_describe(&mut self, catalog: &str, identity: String, reason: String) {
        self.unmodelled.push(Unmodelled {
            catalog: catalog.to_owned(),
            identity,
            reason,
        });
    }

    fn add_comments(&mut self, object: &Object<'_>, target: &str) {
        let is_public = object.kind == "schema" && object.identity == "public";
        let rows = self.rows;
        let comment = rows.comment_of(object.class, object.oid, object.sub);
        let goes_without_saying = |comment: &str| match object.kind {
            "schema" => is_public && comment == "standard public schema",
            // CREATE EXTENSION writes the control file's comment, which differs between versions.
            "extension" => object.oid < FIRST_USER_OID || rows.controls.all().any(|control| control.comment == comment),
            _ => false,
        };
        match comment {
            Some(comment) if !goes_without_saying(comment) => {
                self.insert("comment", format!("on {target}"), comment.to_owned());
            }
            None if is_public => self.insert("comment", format!("on {target}"), String::new()),
            _ => {}
        }
    }

    fn insert(&mut self, kind: &str, identity: String, definition: String) {
        let id = ObjectId::new(kind, identity);
        if let Some(other) = self.found.insert(id.clone(), definition) {
            let reason = format!("a second object of this name: {other}");
            self.cannot_describe(&id.kind, id.identity, reason);
        }
    }
}
