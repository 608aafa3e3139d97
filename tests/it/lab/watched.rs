//! A host that is watched: what Prometheus sees of deploys under load, which alerts fire, and what those who are told
//! read. The command in the page is the one that helps, by running it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::host::answering;
use super::support::lab::{Lab, root};
use super::support::load::Load;
use super::support::site::{Site, access, head, host_line};
use super::support::watch::Watch;

const INDEX: &str = "    async def index(request: Request) -> Response:\n";
/// Two scrapes, an evaluation, and what Alertmanager waits for company.
const SEEN: Duration = Duration::from_secs(15 + 15 + 10 + 20);

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_page_names_the_release_and_the_command_that_helps() {
    let site = Site::separate("watched", configuration);
    let lab = &site.lab;
    lab.script(&["fresh", "host2"]);
    let watch = Watch::prepare(lab, 2);
    site.relman(&["deploy"]).expect(0);
    let load = Load::on(&lab.url(2), &site.root);

    // The dead man's switch of monitoring itself.
    watch.wait_for("/watchdog", "a heartbeat", SEEN * 2, |beat| {
        beat["alerts"][0]["labels"]["alertname"] == "Watchdog"
    });

    // A second run of the roles changes nothing, and nothing of monitoring is started anew.
    let started = "systemctl show -p ActiveEnterTimestampMonotonic prometheus prometheus-alertmanager prometheus-node-exporter";
    let before =
        lab.on_host(2, &format!("rm /etc/relman/configured; touch /tmp/before; sleep 1.1; {started}"));
    // It takes a while to start, so that monitoring sees a candidate.
    site.change(
        "feat: a slow start",
        "web/__main__.py",
        MAIN,
        &format!("{MAIN}    __import__(\"time\").sleep(20)\n"),
    );
    site.relman(&["deploy"]).expect(0);
    let written = "find /etc -xdev -type f -newer /tmp/before ! -path /etc/relman/configured; rm /tmp/before";
    assert_eq!(lab.on_host(2, written).trim(), "", "files that a second run of the roles wrote");
    assert_eq!(lab.on_host(2, started), before, "monitoring was started anew");
    let good = site.serving();
    watch.eventually(&format!("relman_release_info{{version=\"{good}\",role=\"stable\"}}"), SEEN);
    let candidates = watch.query(&format!(
        "count_over_time(relman_release_info{{version=\"{good}\",role=\"candidate\"}}[10m])"
    ));
    assert!(!candidates.is_empty(), "monitoring saw v{good} while it was a candidate");

    // A release that is healthy, passes its trial, and then fails a quarter of its requests.
    let bomb = "        if __import__(\"time\").monotonic() - began > 40 and __import__(\"random\").random() < 0.25:\n            \
                return JSONResponse({\"error\": \"no stock\"}, status_code=500)\n";
    site.change(
        "feat: sells what is not there",
        "web/app.py",
        INDEX,
        &format!("    began = __import__(\"time\").monotonic()\n\n{INDEX}{bomb}"),
    );
    site.relman(&["deploy"]).expect(0);
    let bad = site.serving();
    let fails =
        format!("slot:errors:ratio_rate2m > 0.05 and on (slot) relman_release_info{{version=\"{bad}\"}}");
    watch.eventually(&fails, Duration::from_secs(120));
    let failing = Instant::now();
    // What the rule promises: a minute of `for`, behind what it takes to be seen.
    let page = watch.wait_for(
        "/webhook",
        "a page about the release that fails",
        SEEN + Duration::from_secs(60 + 30),
        |page| alert(page, "ServiceErrorsFastBurn").is_some(),
    );
    let told = failing.elapsed();
    let burns = alert(&page, "ServiceErrorsFastBurn").expect("it was found above");
    for (label, value) in
        [("release", bad.as_str()), ("service", "web"), ("environment", "production"), ("role", "stable")]
    {
        assert_eq!(burns["labels"][label], value, "{burns:#}");
    }
    assert_eq!(burns["labels"]["host"], "host2", "{burns:#}");
    let in_slack =
        watch.wait_for("/slack", "the same in Slack", SEEN, |message| message.to_string().contains(&bad));
    let command = burns["annotations"]["command"].as_str().expect("a page has a command").to_owned();
    assert!(in_slack.to_string().contains(&command), "{in_slack:#}");

    // At three in the morning nobody thinks: the line is taken as it is.
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some("relman"), "{command}");
    site.relman(&words.collect::<Vec<_>>()).expect(0);
    assert_eq!(site.serving(), good);
    assert_eq!(answering(lab, 2).as_ref(), Some(&good));

    // One that never answers well is taken back by itself, and only a ticket says so.
    site.change("feat: sells nothing", "web/app.py", "< 0.25", "< 1.25");
    site.change("feat: sells nothing at once", "web/app.py", "> 40", "> -1");
    site.relman(&["deploy", "--override-hold", "--reason", "the errors are looked for"]).expect(3);
    assert_eq!(site.serving(), good);
    let ticket = watch.wait_for("/slack", "a ticket about the return", SEEN, |message| {
        message.to_string().contains("went back to")
    });
    assert!(ticket.to_string().contains(&good), "{ticket:#}");
    // It is over for the bad one, and nobody is told to go back from the good one.
    watch.wait_for("/webhook", "that it is over", SEEN + Duration::from_secs(120), |page| {
        alert(page, "ServiceErrorsFastBurn").is_some_and(|burns| burns["status"] == "resolved")
    });
    let paged = watch.received("/webhook");
    let releases = paged.iter().flat_map(|page| page["alerts"].as_array().into_iter().flatten());
    for alert in releases {
        assert_eq!(
            (&alert["labels"]["release"], &alert["labels"]["alertname"]),
            (&bad.as_str().into(), &"ServiceErrorsFastBurn".into()),
            "{alert:#}"
        );
    }

    // Every query of every panel, on what was measured above and not on what a test made up.
    let said = watch.dashboards();
    let memory =
        "systemctl show --value -p MemoryCurrent prometheus prometheus-alertmanager prometheus-node-exporter";
    let bytes: u64 =
        lab.on_host(2, memory).split_whitespace().map(|n| n.parse::<u64>().expect("bytes")).sum();
    println!(
        "told {} s after the errors were measured; monitoring takes {} MB; {said}",
        told.as_secs(),
        bytes / 1_000_000
    );
    assert!(bytes <= 200_000_000, "monitoring takes {bytes} bytes");
    let load = load.end();
    assert_eq!(load["skipped"], 0, "{load:#}");
    site.relman(&["unhold", "--reason", "the story is over"]).expect(0);
}

const MAIN: &str = "if __name__ == \"__main__\":\n";

/// The first alert of a name in a message to the webhook.
fn alert<'a>(page: &'a Value, name: &str) -> Option<&'a Value> {
    page["alerts"].as_array()?.iter().find(|alert| alert["labels"]["alertname"] == name)
}

fn configuration(lab: &Lab) -> String {
    format!(
        "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 3\n{}\nhosts = [{}]\n\n\
         [ansible.vars]\nmonitoring_enabled = true\nmonitoring_files = \"{}\"\n",
        head(lab, "watched").replace("start_period_seconds = 15", "start_period_seconds = 60"),
        access(lab),
        host_line(lab, 2),
        root().join("monitoring").display()
    )
}
