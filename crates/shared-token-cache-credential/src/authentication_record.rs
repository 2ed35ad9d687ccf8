use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value};
use token_credential::{Error, ErrorKind, Result};

/// Which account signed in, at which authority and with which application: what a sign-in leaves
/// behind for later runs. It holds no secret.
///
/// Its JSON is the one of the Azure SDKs for other languages, byte for byte, so that a record which
/// one of them wrote can be used here and the other way about.
///
/// ```
/// use shared_token_cache_credential::AuthenticationRecord;
///
/// # fn main() -> shared_token_cache_credential::Result<()> {
/// let json = r#"{"authority": "login.microsoftonline.com",
///     "clientId": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
///     "homeAccountId": "6f0e1a52-8c3b-4d4f-9d4e-1b7a2c3d4e5f.72f988bf-86f1-41af-91ab-2d7cd011db47",
///     "tenantId": "72f988bf-86f1-41af-91ab-2d7cd011db47",
///     "username": "ada@contoso.com", "version": "1.0"}"#;
/// let record = AuthenticationRecord::deserialize(json)?;
/// assert_eq!(record.username(), "ada@contoso.com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationRecord {
    authority: String,
    client_id: String,
    home_account_id: String,
    tenant_id: String,
    username: String,
}

/// The only version there is.
const VERSION: &str = "1.0";

impl AuthenticationRecord {
    /// Reads the JSON of a record. Members that it does not know are passed over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`]: it is no JSON object, lacks a member, has one that is no
    /// text, or is of another version than 1.0.
    pub fn deserialize(json: &str) -> Result<Self> {
        let invalid = |why: &str| {
            let text = format!(
                "the authentication record {why}: serialize a new one with the SDK that wrote it"
            );
            Error::new(ErrorKind::InvalidArgument, text)
        };
        let mut members: Map<String, Value> = serde_json::from_str(json)
            .map_err(|error| invalid("is not a JSON object").with_source(error))?;
        let mut take = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(invalid(&format!("has a {name} that is no text"))),
            None => Err(invalid(&format!("has no {name}"))),
        };
        if take("version")? != VERSION {
            return Err(invalid("is of another version than 1.0"));
        }
        Ok(Self {
            authority: take("authority")?,
            client_id: take("clientId")?,
            home_account_id: take("homeAccountId")?,
            tenant_id: take("tenantId")?,
            username: take("username")?,
        })
    }

    /// The record as JSON, in ASCII.
    pub fn serialize(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'r> {
            authority: &'r str,
            client_id: &'r str,
            home_account_id: &'r str,
            tenant_id: &'r str,
            username: &'r str,
            version: &'static str,
        }

        let mut text = Vec::new();
        let json = Json {
            authority: &self.authority,
            client_id: &self.client_id,
            home_account_id: &self.home_account_id,
            tenant_id: &self.tenant_id,
            username: &self.username,
            version: VERSION,
        };
        // Neither texts nor memory fail to be written.
        let _ = json.serialize(&mut Serializer::with_formatter(&mut text, PythonLayout));
        text.into_iter().map(char::from).collect()
    }

    /// The host of the authority.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The application that signed in.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Who signed in: `uid.utid` of the account's home tenant.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// The tenant that the account signed in to.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The name that the account signs in with.
    pub fn username(&self) -> &str {
        &self.username
    }
}

/// JSON on one line, with blanks behind colons and commas and nothing but ASCII, as Python writes
/// it.
struct PythonLayout;

impl Formatter for PythonLayout {
    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\"authority\": \"login.microsoftonline.com\", \"clientId\": \"c\", \
                        \"homeAccountId\": \"u.t\", \"tenantId\": \"t\", \
                        \"username\": \"jos\\u00e9 \\ud83d\\ude00\\u007f\\n\\u0001\\\"@x\", \
                        \"version\": \"1.0\"}";

    #[test]
    fn what_python_wrote_comes_back_byte_for_byte() {
        let record = AuthenticationRecord::deserialize(JSON).unwrap();
        assert_eq!(record.username(), "jos\u{e9} \u{1f600}\u{7f}\n\u{1}\"@x");
        assert_eq!(record.serialize(), JSON);
    }

    #[test]
    fn members_come_in_any_order_and_number() {
        let json = r#"{"version":"1.0","extra":[],"username":"a","username":"b","tenantId":"",
            "homeAccountId":"h","clientId":"c","authority":"a"}"#;
        let record = AuthenticationRecord::deserialize(json).unwrap();
        assert_eq!((record.username(), record.tenant_id()), ("b", ""));
    }

    #[test]
    fn every_bad_record_is_an_invalid_argument_that_says_why() {
        for (json, why) in [
            (String::new(), "JSON object"),
            ("null".to_owned(), "JSON object"),
            ("\"x\"".to_owned(), "JSON object"),
            (format!("{JSON} x"), "JSON object"),
            (format!("\u{feff}{JSON}"), "JSON object"),
            (JSON.replace("1.0", "2.0"), "version"),
            (JSON.replace("\"1.0\"", "1.0"), "version"),
            (JSON.replace("version", "Version"), "version"),
            (JSON.replace("clientId", "clientid"), "clientId"),
            (JSON.replace("\"t\"", "null"), "tenantId"),
            (JSON.replace("\"u.t\"", "5"), "homeAccountId"),
        ] {
            let error = AuthenticationRecord::deserialize(&json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{json}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
