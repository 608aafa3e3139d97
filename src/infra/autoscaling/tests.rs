use super::*;
use crate::aws::testing::variable;
use crate::infra::members::contract::{Bench, members_contract};

#[test]
fn who_may_get_requests_again_is_a_member() {
    for state in ["InService", "Quarantined", "of a later year", ""] {
        assert_eq!(standing(state), Standing::Serves, "{state}");
    }
    for state in ["Pending", "Pending:Wait", "Pending:Proceed", "EnteringStandby", "Standby"] {
        assert_eq!(standing(state), Standing::Aside, "{state}");
    }
    for state in [
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminated",
        "Detaching",
        "Detached",
        "Warmed:Pending",
        "Warmed:Running",
    ] {
        assert_eq!(standing(state), Standing::Leaves, "{state}");
    }
}

/// An account of moto's, where groups run instances that are none.
struct Account {
    groups: AutoScaling,
    client: Client,
}

impl Account {
    async fn new() -> Self {
        let chain = Arc::new(Chain::to(variable("RELMAN_TEST_AUTOSCALING")));
        let client = Client::new(&chain.config(QUICK).await.unwrap());
        Self { groups: AutoScaling::new(chain), client }
    }
}

#[async_trait::async_trait]
impl Bench for Account {
    fn groups(&self) -> &dyn Groups {
        &self.groups
    }

    async fn make(&self, group: &str, size: u16) {
        let launch = self.client.create_launch_configuration().launch_configuration_name(group);
        launch.image_id("ami-12c6146b").instance_type("t3.small").send().await.unwrap();
        let made = self.client.create_auto_scaling_group().auto_scaling_group_name(group);
        let made = made.launch_configuration_name(group).availability_zones("us-east-1a");
        made.min_size(0).max_size(4).desired_capacity(size.into()).send().await.unwrap();
    }

    async fn set_aside(&self, group: &str, id: &str) {
        let asked = self.client.enter_standby().auto_scaling_group_name(group).instance_ids(id);
        asked.should_decrement_desired_capacity(true).send().await.unwrap();
    }

    async fn take_out(&self, _: &str, id: &str) {
        let asked = self.client.terminate_instance_in_auto_scaling_group().instance_id(id);
        asked.should_decrement_desired_capacity(true).send().await.unwrap();
    }
}

members_contract!(Account::new().await; ignore = "needs tests/aws/run");
