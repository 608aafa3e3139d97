//! Groups in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::infra::members::contract::{Bench, members_contract};
use crate::infra::members::{GroupError, Groups, Member, Standing};

/// The fake.
#[derive(Default)]
pub struct FakeGroups(Mutex<World>);

/// What there is.
#[derive(Default)]
pub struct World {
    /// The groups.
    pub groups: BTreeMap<String, Vec<Member>>,
    /// Whether nothing can be asked at all.
    pub down: bool,
    /// How often somebody asked.
    pub asked: u32,
    made: u32,
}

impl FakeGroups {
    /// What there is, to look at and to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Lets a group have these instances, all of which serve.
    pub fn set(&self, group: &str, ids: &[&str]) {
        let member = |id: &&str| Member { id: (*id).to_owned(), standing: Standing::Serves };
        self.world().groups.insert(group.to_owned(), ids.iter().map(member).collect());
    }
}

#[async_trait::async_trait]
impl Groups for FakeGroups {
    async fn members(&self, group: &str) -> Result<Vec<Member>, GroupError> {
        let mut world = self.world();
        world.asked += 1;
        let (name, region) = (group.to_owned(), "eu-central-1".to_owned());
        if world.down {
            return Err(GroupError::Unavailable { group: name, region, source: "AWS is away".into() });
        }
        match world.groups.get(group) {
            Some(members) => Ok(members.clone()),
            None => Err(GroupError::Missing { group: name, region }),
        }
    }
}

#[async_trait::async_trait]
impl Bench for FakeGroups {
    fn groups(&self) -> &dyn Groups {
        self
    }

    async fn make(&self, group: &str, size: u16) {
        let mut world = self.world();
        let mut members = Vec::new();
        for _ in 0..size {
            world.made += 1;
            members.push(Member { id: format!("i-{:017x}", world.made), standing: Standing::Serves });
        }
        world.groups.insert(group.to_owned(), members);
    }

    async fn set_aside(&self, group: &str, id: &str) {
        let mut world = self.world();
        let members = world.groups.get_mut(group).unwrap();
        members.iter_mut().find(|member| member.id == id).unwrap().standing = Standing::Aside;
    }

    async fn take_out(&self, group: &str, id: &str) {
        self.world().groups.get_mut(group).unwrap().retain(|member| member.id != id);
    }
}

members_contract!(FakeGroups::default());
