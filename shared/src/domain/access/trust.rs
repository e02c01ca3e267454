//! The trust policy of a tenant's role, which lets this system call models with it (contract, D15; AWS, "The confused deputy
//! problem").

use serde_json::{Value, json};

use crate::domain::id::OrganizationUid;

/// The principals that a role must trust: the roles that this system calls models with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    callers: Vec<String>,
}

impl Trust {
    /// In these roles, ARNs.
    #[must_use]
    pub const fn new(callers: Vec<String>) -> Self {
        Self { callers }
    }

    /// The external id under which a tenant's roles are assumed: the tenant's uid, so that no other tenant can have this system
    /// use them.
    #[must_use]
    pub fn external_id(organization: OrganizationUid) -> String {
        organization.to_string()
    }

    /// The trust policy of a role of this organization, ready to be pasted.
    #[must_use]
    pub fn policy(&self, organization: OrganizationUid) -> Value {
        json!({"Version": "2012-10-17", "Statement": [self.statement(organization)]})
    }

    /// The one statement of it.
    #[must_use]
    pub fn statement(&self, organization: OrganizationUid) -> Value {
        json!({
            "Effect": "Allow",
            "Principal": {"AWS": self.callers},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": Self::external_id(organization)}},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract D15.
    #[test]
    fn a_role_trusts_both_callers_on_the_condition_of_its_tenants_external_id() {
        let organization = OrganizationUid::named("acme");
        let trust = Trust::new(vec!["arn:aws:iam::1:role/infer".into(), "arn:aws:iam::1:role/providers".into()]);

        let policy = trust.policy(organization);

        assert_eq!(policy["Statement"], json!([trust.statement(organization)]));
        assert_eq!(
            policy["Statement"][0],
            json!({"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"AWS": ["arn:aws:iam::1:role/infer", "arn:aws:iam::1:role/providers"]},
                "Condition": {"StringEquals": {"sts:ExternalId": organization.to_string()}}})
        );
    }
}
