use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{trials, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// A real Chromium without a window, spoken to over a pipe (Chrome DevTools Protocol); ends when dropped.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next_id: u64,
    _profile: TempDir,
}

/// A page that is open in a browser.
pub struct Page<'b> {
    browser: &'b mut Browser,
    session: String,
}

impl Browser {
    /// Starts it with an empty profile.
    pub fn start() -> Result<Self> {
        let profile = TempDir::with_prefix("haul-browser-")?;
        // The protocol wants descriptors 3 and 4; a shell moves our pipes there.
        let script = "exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec \"$@\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "sh"])
            .arg(trials::program("chromium")?);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]);
        command.args([
            "--remote-debugging-pipe",
            "--disable-background-networking",
            "--disable-extensions",
        ]);
        command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank");
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start sh")?;
        let to = process.stdin.take().context("no pipe to the browser")?;
        let from = process.stdout.take().context("no pipe from the browser")?;
        Ok(Self {
            process,
            to,
            from: messages(from),
            next_id: 0,
            _profile: profile,
        })
    }

    /// Opens an empty page.
    pub fn page(&mut self) -> Result<Page<'_>> {
        let target = self.call(None, "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", &attach)?;
        let session = attached["sessionId"].as_str().context("no session")?.to_owned();
        Ok(Page {
            browser: self,
            session,
        })
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Result<Value> {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        let started = Instant::now();
        loop {
            let left = LIMIT
                .checked_sub(started.elapsed())
                .with_context(|| format!("no answer to {method}"))?;
            let answer = self
                .from
                .recv_timeout(left)
                .with_context(|| format!("no answer to {method}"))?;
            if answer["id"] == self.next_id {
                ensure!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return Ok(answer["result"].clone());
            }
        }
    }
}

/// Messages end with a zero byte. Reading on a thread lets the caller give up.
fn messages(from: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(from).split(0) {
            let Some(value) = message
                .ok()
                .and_then(|message| serde_json::from_slice(&message).ok())
            else {
                return;
            };
            if sender.send(value).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Page<'_> {
    /// Goes to an address and waits until the page is there.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", &json!({ "url": url }))?;
        if let Some(error) = answer.get("errorText") {
            bail!("{url}: {error}");
        }
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'")
    }

    /// The value of an expression of JavaScript.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &parameters)?;
        ensure!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true. One that throws (the page is changing) is not true yet.
    pub fn until(&mut self, expression: &str) -> Result<()> {
        let mut last = Value::Null;
        let found = wait::until(expression, LIMIT, || {
            last = self
                .evaluate(expression)
                .unwrap_or_else(|error| json!(format!("{error:#}")));
            Ok((last == json!(true)).then_some(()))
        });
        found.with_context(|| format!("the last value was {last}"))
    }

    /// Makes the window as large as that of a small phone: 360 times 640 CSS pixels.
    pub fn as_on_a_phone(&mut self) -> Result<()> {
        let size = json!({ "width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": true });
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        Ok(())
    }

    /// Presses and releases a key: `Tab`, `Enter`, `Space`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (key, code, number, text) = match key {
            "Enter" => (key, key, 13, "\r"),
            "Space" => (" ", key, 32, " "),
            "Tab" => (key, key, 9, ""),
            _ => bail!("no key {key} is known"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                &json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text }),
            )?;
        }
        Ok(())
    }

    /// Presses Tab until an element that a selector finds has the focus.
    pub fn tab_to(&mut self, selector: &str) -> Result<()> {
        const MOST: usize = 200;
        let is_there = format!("document.activeElement?.matches({}) ?? false", json!(selector));
        for _ in 0..MOST {
            if self.evaluate(&is_there)? == json!(true) {
                return Ok(());
            }
            self.press("Tab")?;
        }
        bail!("{selector} cannot be reached with {MOST} times Tab")
    }

    /// Types text where the focus is.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", &json!({ "text": text }))?;
        Ok(())
    }

    /// What the browser tells screen readers: role and name of everything on the page that is not left out for them.
    pub fn spoken(&mut self) -> Result<Vec<(String, String)>> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}))?;
        let nodes = tree["nodes"].as_array().context("no tree")?;
        let told = nodes.iter().filter(|node| node["ignored"] != json!(true));
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        Ok(told
            .map(|node| (text(&node["role"]), text(&node["name"])))
            .collect())
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// The text of the first element that a selector finds.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let value = self.evaluate(&format!("document.querySelector({}).innerText", json!(selector)))?;
        Ok(value
            .as_str()
            .with_context(|| format!("no text at {selector}"))?
            .to_owned())
    }

    /// Writes into a field and sends its form, as typing and Enter do.
    pub fn submit(&mut self, selector: &str, text: &str) -> Result<()> {
        let before = self.evaluate("performance.timeOrigin")?;
        let (selector, text) = (json!(selector), json!(text));
        self.evaluate(&format!(
            "(() => {{ const field = document.querySelector({selector}); field.focus(); field.value = {text}; \
             field.form.requestSubmit(); return true }})()"
        ))?;
        self.until(&format!(
            "performance.timeOrigin !== {before} && document.readyState === 'complete'"
        ))
    }

    /// Clicks on the first element that a selector finds and waits for the next page.
    pub fn follow(&mut self, selector: &str) -> Result<()> {
        let before = self.evaluate("performance.timeOrigin")?;
        self.evaluate(&format!("document.querySelector({}).click()", json!(selector)))?;
        self.until(&format!(
            "performance.timeOrigin !== {before} && document.readyState === 'complete'"
        ))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
