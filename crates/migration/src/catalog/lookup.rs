//! What kinds ask of rows other than their own.

use super::cells::Oid;
use super::kinds::sequence::Owned;
use super::kinds::table::Relation;
use super::sources::Rows;

/// A security label.
pub struct Label<'a> {
    pub provider: &'a str,
    pub label: &'a String,
}

impl Rows {
    /// To be called once all rows are there: finds out who runs the migrations. Their names differ between servers, so no
    /// definition holds them.
    pub fn settle(&mut self) {
        self.migrators = self.databases.all().map(|database| database.owner).collect();
        let own = self.schemas.all().find(|schema| schema.name == "migration");
        match (own, self.session.get(0)) {
            (Some(schema), _) => self.migrators.extend([schema.owner]),
            // Before the first run; somebody who may not migrate only looks.
            (None, Some(session)) if session.may_create => {
                let role = self.role_of(&session.role);
                self.migrators.extend(role);
            }
            _ => {}
        }
    }

    /// Whether a role may run the migrations.
    pub fn is_migrator(&self, role: Oid) -> bool {
        self.migrators.contains(&role)
    }

    /// The server's version as a number, such as 150018.
    pub fn server_version_num(&self) -> u32 {
        self.session.get(0).map_or(0, |session| session.version)
    }

    /// The quoted name of a schema that is neither PostgreSQL's nor the engine's.
    pub fn schema(&self, oid: Oid) -> Option<&str> {
        let schema = self.schemas.get(oid)?;
        schema.definition.is_empty().then_some(&schema.name)
    }

    /// A relation that is an object, or has parts that are; with its qualified name.
    pub fn relation(&self, oid: Oid) -> Option<(&Relation, String)> {
        let relation = self.relations.get(oid)?;
        if relation.kind == 't' || self.is_member("pg_class", oid) {
            return None;
        }
        let schema = self.schema(relation.namespace)?;
        Some((relation, format!("{schema}.{}", relation.name)))
    }

    /// Whether CREATE EXTENSION made it.
    pub fn is_member(&self, class: &str, oid: Oid) -> bool {
        self.members.of(oid).iter().any(|member| member.class == class)
    }

    /// The sequence of an identity column.
    pub fn identity_of(&self, table: Oid, column: i32) -> Option<&Owned> {
        self.identities
            .of(table)
            .iter()
            .find(|identity| identity.column == column)
    }

    /// The quoted name of a role; as `pg_get_userbyid` says it if there is none.
    pub fn role(&self, oid: Oid) -> String {
        self.roles
            .get(oid)
            .map_or_else(|| unknown(oid), |role| role.name.clone())
    }

    /// The same without quotes.
    pub fn raw_role(&self, oid: Oid) -> String {
        self.roles
            .get(oid)
            .map_or_else(|| unknown(oid), |role| role.raw_name.clone())
    }

    /// Quotes the name of a role; of one that is no more, `aclitem` prints the number.
    pub fn quoted_role(&self, raw_name: &str) -> String {
        match (self.role_of(raw_name), raw_name.parse()) {
            (Some(role), _) => self.role(role),
            (None, Ok(oid)) => unknown(oid),
            (None, Err(_)) => raw_name.to_owned(),
        }
    }

    fn role_of(&self, raw_name: &str) -> Option<Oid> {
        let mut roles = self.roles.keys();
        roles.find(|oid| self.roles.get(*oid).is_some_and(|role| role.raw_name == raw_name))
    }

    /// What COMMENT said of an object.
    pub fn comment_of(&self, class: &str, oid: Oid, sub: i32) -> Option<&str> {
        let comments = self.comments.of(oid).iter();
        let own = comments.filter(|comment| comment.class == class && comment.sub == sub);
        let shared = self
            .shared_comments
            .of(oid)
            .iter()
            .filter(|comment| comment.class == class);
        let own = own.map(|comment| comment.comment.as_str());
        own.chain(shared.map(|comment| comment.comment.as_str())).next()
    }

    /// The security labels of an object.
    pub fn labels_of(&self, class: &str, oid: Oid, sub: i32) -> impl Iterator<Item = Label<'_>> {
        let own = self.security_labels.of(oid).iter();
        let own = own.filter(move |label| label.class == class && label.sub == sub);
        let own = own.map(|label| (&label.provider, &label.label));
        let shared = self
            .shared_security_labels
            .of(oid)
            .iter()
            .filter(move |label| label.class == class);
        let shared = shared.map(|label| (&label.provider, &label.label));
        own.chain(shared).map(|(provider, label)| Label { provider, label })
    }

    /// The rows with this number that define objects, whatever their class.
    pub fn roots_with(&self, oid: Oid) -> impl Iterator<Item = (&'static str, Oid)> {
        let mut domains = self.domain_constraints.keys();
        let domain = domains.find(|domain| self.domain_constraints.of(*domain).iter().any(|of| of.oid == oid));
        let own = super::sources::sources()
            .iter()
            .filter(move |source| source.part_of.is_none() && self.has(source.name, oid));
        own.map(move |source| (source.name, oid))
            .chain(domain.map(|domain| ("types", domain)))
    }
}

fn unknown(oid: Oid) -> String {
    format!("unknown (OID={oid})")
}
