package cmd

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// outForms are the values of --out.
func outForms() []string {
	return []string{"raw", "header", "env", "url", "curl", "js", "python", "go"}
}

// tokenOut renders a new token the way --out asks. The recipes work as they
// are printed, quoting included.
type tokenOut struct {
	form, base, token string
	read, write       []string
}

func (t tokenOut) text() (string, error) {
	switch t.form {
	case "header":
		return "Authorization: Bearer " + t.token + "\n", nil
	case "env":
		return t.env(), nil
	case "raw":
		return t.token + "\n", nil
	}
	if t.base == "" {
		return "", ui.Problemf(ui.ConfigMissingURL, "--out "+t.form+" needs the address of a service").
			Try("pubsubctl token mint --read chat --out " + t.form + " --url https://HOST")
	}
	switch t.form {
	case "url":
		return t.urls()
	case "curl":
		return t.curl()
	}
	if len(t.read) == 0 {
		return "", needsRead(t.form)
	}
	switch t.form {
	case "js":
		return fmt.Sprintf(jsRecipe, quoteJSON(t.streamURL(true))), nil
	case "python":
		return fmt.Sprintf(pythonRecipe, quoteJSON(t.streamURL(false)), quoteJSON("Bearer "+t.token)), nil
	}
	return fmt.Sprintf(goRecipe, quoteJSON(t.streamURL(false)), quoteJSON("Bearer "+t.token)), nil
}

func needsRead(form string) error {
	return ui.Problemf(ui.UsageMissingArgument, "--out "+form+" shows how to subscribe, and the token may not").
		Try("pubsubctl token mint --read chat --out " + form)
}

func (t tokenOut) env() string {
	text := ""
	if t.base != "" {
		text = "export PUBSUBCTL_URL=" + quoteShell(t.base) + "\n"
	}
	return text + "export PUBSUBCTL_TOKEN=" + quoteShell(t.token) + "\n"
}

// streamURL is the address of an event stream on the first topics that one
// stream may have, with the token in it if the client cannot set headers.
func (t tokenOut) streamURL(withToken bool) string {
	q := url.Values{"topic": t.read[:min(len(t.read), pubsub.MaxStreamTopics)]}
	u := t.base + "/events?" + q.Encode()
	if withToken {
		u += "&auth=" + t.token // URL-safe as it is, and the app reads it raw
	}
	return u
}

func (t tokenOut) urls() (string, error) {
	if len(t.read) == 0 {
		return "", needsRead(t.form)
	}
	return t.streamURL(true) + "\n", nil
}

// curl shows a subscribe and a publish, as far as the token allows them.
func (t tokenOut) curl() (string, error) {
	header := quoteShell("Authorization: Bearer " + t.token)
	var b strings.Builder
	if len(t.read) > 0 {
		fmt.Fprintf(&b, "curl -N -H %s %s\n", header, quoteShell(t.streamURL(false)))
	}
	for _, topic := range t.write {
		if !pubsub.PlainTopic(pubsub.Topic(topic)) {
			continue // only MQTT can publish there
		}
		fmt.Fprintf(&b, "curl -H %s --data-binary %s %s\n", header, quoteShell("hello"), quoteShell(t.base+"/events?topic="+topic))
	}
	if b.Len() == 0 {
		return "", ui.Problemf(ui.UsageTopicNotPlain, "none of these topics can be published over HTTP")
	}
	return b.String(), nil
}

// quoteShell makes one word of text for a POSIX shell.
func quoteShell(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// quoteJSON makes a string literal of text that JavaScript, Python and Go read alike.
func quoteJSON(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

const jsRecipe = `const events = new EventSource(%s);
events.addEventListener("message", (e) => console.log(e.data));
events.addEventListener("stream-error", (e) => { console.error(e.data); events.close(); });
`

const pythonRecipe = `import urllib.request

request = urllib.request.Request(
    %s,
    headers={"Authorization": %s},
)
for line in urllib.request.urlopen(request):
    print(line.decode().rstrip("\n"))
`

const goRecipe = `package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	r, err := http.NewRequest("GET", %s, nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Authorization", %s)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		log.Fatal(err)
	}
}
`
