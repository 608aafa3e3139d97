//! What answers where AWS would: by default as a good account does, and as a case says for the calls that it names.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Status, content type, further headers, body; or bytes as they are.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Json(u16, String),
    Xml(u16, String),
    Page(u16),
    Head(u16, &'static [(&'static str, &'static str)]),
    /// Less than was promised, then the end.
    Half,
    /// The connection ends.
    Nothing,
}

/// A call by its name, or the start of it: `GetItem`, `PUT`.
pub(crate) type Plan = Vec<(&'static str, Reply)>;

/// A server on loopback; it lives as long as the test process.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// Calls that would have changed something and were answered with success.
    done: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let done = Arc::<Mutex<Vec<String>>>::default();
        let (shared, plan) = (done.clone(), Arc::new(plan));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, plan) = (shared.clone(), plan.clone());
                std::thread::spawn(move || while answer(&stream, &plan, &shared).is_some() {});
            }
        });
        Self { port, done }
    }

    pub(crate) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }
}

const WRITES: [&str; 6] = ["PutItem", "UpdateItem", "TransactWriteItems", "DeleteItem", "SendCommand", "PUT"];

fn answer(mut stream: &TcpStream, plan: &Plan, done: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let (mut length, mut call) = (0, first.split(' ').next()?.to_owned());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => call = value.trim().rsplit('.').next()?.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if let Some((_, action)) = body.split_once("Action=") {
        call = action.split('&').next()?.to_owned();
    }
    let query = first.split(' ').nth(1)?.split_once('?').map_or("", |(_, query)| query).to_owned();
    let asked = if query.is_empty() { call.clone() } else { format!("{call} {query}") };
    let planned = plan.iter().find(|(name, _)| asked.starts_with(name) || (*name == "*"));
    let reply = planned.map_or_else(|| good(&call, &query, &body), |(_, reply)| reply.clone());
    let (status, kind, more, text) = match reply {
        Reply::Json(status, text) => (status, "application/x-amz-json-1.0", String::new(), text),
        Reply::Xml(status, text) => (status, "application/xml", String::new(), text),
        Reply::Page(status) => {
            (status, "text/html", String::new(), "<html>Sign in to continue</html>".to_owned())
        }
        Reply::Head(status, headers) => {
            let more = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            (status, "application/xml", more, String::new())
        }
        Reply::Half => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{\"Item\":");
            return None;
        }
        Reply::Nothing => return None,
    };
    if status < 300 && WRITES.iter().any(|write| call.starts_with(write)) {
        done.lock().unwrap().push(call);
    }
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nx-amzn-RequestId: 1\r\n{more}Content-Length: {}\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(text.as_bytes()).ok()
}

/// The description of a ledger, as the table has it.
pub(crate) fn meta(schema: u32) -> String {
    format!(
        r#"{{"Item":{{"pk":{{"S":"META"}},"sk":{{"S":"SCHEMA"}},"ledger_id":{{"S":"0123456789abcdef0123456789abcdef"}},"schema_version":{{"N":"{schema}"}},"min_client":{{"S":"9.0.0"}}}}}}"#
    )
}

fn good(call: &str, query: &str, body: &str) -> Reply {
    let json = |text: &str| Reply::Json(200, text.to_owned());
    let never = body.contains("attribute_exists(pk) AND attribute_not_exists(pk)");
    let refused = |code: &str, more: &str| {
        let text = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"{more}}}"#);
        Reply::Json(400, text)
    };
    match call {
        "TransactWriteItems" if never => refused(
            "TransactionCanceledException",
            r#","CancellationReasons":[{"Code":"ConditionalCheckFailed"},{"Code":"ConditionalCheckFailed","Item":{"pk":{"S":"META"}}}]"#,
        ),
        "PutItem" | "UpdateItem" if never => refused("ConditionalCheckFailedException", ""),
        "GetItem" if body.contains("SCHEMA") => json(&meta(1)),
        "GetItem" | "PutItem" | "UpdateItem" | "TransactWriteItems" => json("{}"),
        "Query" => json(r#"{"Items":[],"Count":0,"ScannedCount":0}"#),
        "TransactGetItems" => {
            let items = vec!["{}"; body.matches("\"Get\"").count()].join(",");
            json(&format!("{{\"Responses\":[{items}]}}"))
        }
        "DescribeTable" => json(
            r#"{"Table":{"TableStatus":"ACTIVE","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],"BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST"},"DeletionProtectionEnabled":true}}"#,
        ),
        "DescribeContinuousBackups" => json(
            r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"ENABLED"}}}"#,
        ),
        "DescribeTimeToLive" => json(r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}"#),
        "DescribeDocument" => json(r#"{"Document":{"Name":"relman-perform","Status":"Active"}}"#),
        "DescribeInstanceInformation" => json(r#"{"InstanceInformationList":[{"PingStatus":"Online"}]}"#),
        "SendCommand" => json(r#"{"Command":{"CommandId":"11111111-2222-3333-4444-555555555555"}}"#),
        "GetCallerIdentity" => Reply::Xml(
            200,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:sts::123456789012:assumed-role/deploy/me</Arn><UserId>x</UserId><Account>123456789012</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
                .to_owned(),
        ),
        "GET" if query.starts_with("versioning") => {
            Reply::Xml(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned())
        }
        "GET" if query.starts_with("object-lock") => Reply::Xml(
            200,
            "<ObjectLockConfiguration><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>365</Days></DefaultRetention>\
             </Rule></ObjectLockConfiguration>"
                .to_owned(),
        ),
        "GET" if query.starts_with("encryption") => Reply::Xml(
            200,
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
             </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
                .to_owned(),
        ),
        "GET" if query.starts_with("publicAccessBlock") => Reply::Xml(
            200,
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true\
             </IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true\
             </RestrictPublicBuckets></PublicAccessBlockConfiguration>"
                .to_owned(),
        ),
        "GET" if query.contains("versions") => {
            Reply::Xml(200, "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>".to_owned())
        }
        "HEAD" => Reply::Head(200, &[("x-amz-bucket-region", "us-east-1")]),
        "GET" => Reply::Xml(404, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>".to_owned()),
        _ => Reply::Head(200, &[]),
    }
}
