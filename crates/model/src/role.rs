//! What the people of an account may do.

/// What a person is to the account they belong to. Each role may do all that the ones after it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, other owners included. An account with people always has one.
    Owner,
    /// Everything but making, changing and removing owners.
    Admin,
    /// Works with resources, their secrets too; not with keys, people and the account itself.
    Developer,
    /// Looks at resources, without their secrets.
    ReadOnly,
}

/// Something that a role allows. The table is [`Role::may`], and nothing else decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See resources, and the people of the account.
    ReadResources,
    /// See what resources keep secret, such as the passwords of credentials.
    ReadSecrets,
    /// Make, change and delete resources, and make access tokens.
    WriteResources,
    /// See, make, change and revoke API keys. A key may do all that the API offers.
    ManageKeys,
    /// See the audit log.
    ReadAudit,
    /// Change the account, and what its carriers are.
    ManageAccount,
    /// Invite, change and remove people who are not owners.
    ManageUsers,
    /// Invite, change and remove owners.
    ManageOwners,
}

impl Permission {
    /// Every permission, and its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::ReadResources, "read_resources"),
        (Self::ReadSecrets, "read_secrets"),
        (Self::WriteResources, "write_resources"),
        (Self::ManageKeys, "manage_keys"),
        (Self::ReadAudit, "read_audit"),
        (Self::ManageAccount, "manage_account"),
        (Self::ManageUsers, "manage_users"),
        (Self::ManageOwners, "manage_owners"),
    ];
}

impl Role {
    /// Every role, the most powerful first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Developer, Self::ReadOnly];
    /// Their names, in the same order.
    pub const NAMES: &'static [&'static str] = &["owner", "admin", "developer", "read_only"];

    /// Tells whether the role allows something.
    pub const fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::ReadResources => true,
            Permission::ReadSecrets | Permission::WriteResources => {
                matches!(self, Self::Owner | Self::Admin | Self::Developer)
            }
            Permission::ManageKeys
            | Permission::ReadAudit
            | Permission::ManageAccount
            | Permission::ManageUsers => matches!(self, Self::Owner | Self::Admin),
            Permission::ManageOwners => matches!(self, Self::Owner),
        }
    }

    /// Returns what it takes to give somebody this role, or to take it away.
    pub const fn to_manage(self) -> Permission {
        match self {
            Self::Owner => Permission::ManageOwners,
            Self::Admin | Self::Developer | Self::ReadOnly => Permission::ManageUsers,
        }
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::ReadOnly => "read_only",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_this() {
        let allowed = |role: Role| {
            let may = |(permission, name)| role.may(permission).then_some(name);
            Permission::ALL
                .into_iter()
                .filter_map(may)
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(Role::Owner).len(), Permission::ALL.len());
        assert_eq!(
            allowed(Role::Admin),
            [
                "read_resources",
                "read_secrets",
                "write_resources",
                "manage_keys",
                "read_audit",
                "manage_account",
                "manage_users"
            ]
        );
        assert_eq!(
            allowed(Role::Developer),
            ["read_resources", "read_secrets", "write_resources"]
        );
        assert_eq!(allowed(Role::ReadOnly), ["read_resources"]);
    }

    #[test]
    fn names_read_back() {
        for (role, name) in Role::ALL.into_iter().zip(Role::NAMES) {
            assert_eq!(role.name(), *name);
            assert_eq!(Role::from_name(name), Some(role));
        }
        for other in ["", "Owner", "root", "read-only"] {
            assert_eq!(Role::from_name(other), None, "{other}");
        }
    }
}
