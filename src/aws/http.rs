//! The SDK's requests through the HTTP client that the rest of relman uses: one TLS stack, the system's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use crate::tls;

type Settings = (Option<Duration>, Option<Duration>);

/// One client, with its connections, for each pair of timeouts.
#[derive(Debug, Default)]
pub(super) struct Http {
    clients: Mutex<HashMap<Settings, SharedHttpConnector>>,
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let settings = (settings.connect_timeout(), settings.read_timeout());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .entry(settings)
            .or_insert_with(|| SharedHttpConnector::new(Connector(client(settings))))
            .clone()
    }
}

fn client((connect, read): Settings) -> Result<reqwest::Client, String> {
    // A request is signed for one address: it is not carried to another.
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let mut builder = builder.tls_backend_preconfigured(tls::config().map_err(|error| error.to_string())?);
    if let Some(connect) = connect {
        builder = builder.connect_timeout(connect);
    }
    if let Some(read) = read {
        builder = builder.read_timeout(read);
    }
    builder.build().map_err(|error| error.to_string())
}

/// A client, or why there is none: the SDK takes errors with a request only.
#[derive(Debug)]
struct Connector(Result<reqwest::Client, String>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|error| ConnectorError::other(error.into(), None))?;
            send(&client, request).await
        })
    }
}

async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
    let mut sent = reqwest::Request::new(parts.method, url(&parts.uri.to_string())?);
    *sent.headers_mut() = parts.headers;
    *sent.body_mut() = Some(body.into());
    let mut answer = client.execute(sent).await.map_err(failed)?;
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let body = answer.bytes().await.map_err(failed)?;
    let mut response = HttpResponse::new(status.as_u16().try_into().map_err(other)?, SdkBody::from(body));
    *response.headers_mut() = headers.try_into().map_err(other)?;
    Ok(response)
}

fn url(text: &str) -> Result<reqwest::Url, ConnectorError> {
    text.parse().map_err(|error: <reqwest::Url as std::str::FromStr>::Err| ConnectorError::user(error.into()))
}

fn other(error: impl Into<aws_sdk_dynamodb::error::BoxError>) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}

fn failed(error: reqwest::Error) -> ConnectorError {
    // Whoever put a password into the endpoint did not mean it to be printed.
    let has_user = error.url().is_some_and(|url| !url.username().is_empty() || url.password().is_some());
    let error = if has_user { error.without_url() } else { error };
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        // Refused, reset, cut off in the middle: another attempt may pass.
        ConnectorError::io(error.into())
    }
}
