//! Who is in a group whose machines come and go by themselves, between two applies.
//!
//! Invariant: what is told is of now and never remembered.

#[cfg(test)]
pub mod contract;

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An instance of a group, and how it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id, as the group's owner tells it: not checked.
    pub id: String,
    /// Whether it is one of those that requests go to.
    pub standing: Standing,
}

/// What an instance of a group is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Requests go to it.
    Serves,
    /// None go to it now, and they may in a while.
    Aside,
    /// It goes away, or is no longer the group's.
    Leaves,
}

/// The port.
#[async_trait::async_trait]
pub trait Groups: Send + Sync {
    /// The instances of a group, in no order.
    ///
    /// # Errors
    /// When there is no such group, or it cannot be asked.
    async fn members(&self, group: &str) -> Result<Vec<Member>, GroupError>;
}

/// Why it is not known who is in a group.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// There is none of this name.
    #[error("there is no Auto Scaling group {group} in {region}")]
    Missing {
        /// The group.
        group: String,
        /// Where it was looked for.
        region: String,
    },
    /// It was looked for where it was not made.
    #[error("there is no Auto Scaling group {group} in {region}: the infrastructure was made in {made_in}")]
    Elsewhere {
        /// The group.
        group: String,
        /// Where it was looked for.
        region: String,
        /// The region that the outputs tell.
        made_in: String,
    },
    /// It cannot be asked.
    #[error("the Auto Scaling group {group} in {region} cannot be asked which hosts there are")]
    Unavailable {
        /// The group.
        group: String,
        /// Where it was looked for.
        region: String,
        /// Why.
        #[source]
        source: Cause,
    },
}
