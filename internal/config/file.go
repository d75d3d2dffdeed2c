package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Key is the signing key of a context: its id and where its value is.
type Key struct {
	ID     string
	Secret Ref
}

// Context is one service as the contexts file describes it. Empty members are
// not set.
type Context struct {
	URL       string
	ServiceID string
	APIToken  Ref
	// APIURL is where the platform's API is, if not at Fastly's own address.
	APIURL    string
	Key       Key
	Token     Ref
	FastlyKey Ref
	Protected bool
}

// Local is the context that is always there: the relay on this machine with the
// key it accepts when told nothing else. Nothing in it is secret.
const Local = "local"

// builtin returns the context Local. A table of that name in the file replaces it.
func builtin() Context {
	return Context{
		URL:       "http://127.0.0.1:7999",
		Key:       Key{ID: "test", Secret: ParseRef("notasecret")},
		FastlyKey: ParseRef("local"),
	}
}

// Contexts is the contexts file.
type Contexts struct {
	// Path is where the file is, or would be; it need not exist.
	Path string
	// Current is the selected context; empty means Local.
	Current string

	named map[string]Context
	text  string // as read, so that a write can keep it
}

// fileContext is the table of one context in the file.
type fileContext struct {
	URL       string   `toml:"url"`
	ServiceID string   `toml:"service_id"`
	APIToken  string   `toml:"api_token"`
	APIURL    string   `toml:"api_url"`
	Key       *fileKey `toml:"key"`
	Token     string   `toml:"token"`
	FastlyKey string   `toml:"fastly_key"`
	Protected bool     `toml:"protected"`
}

type fileKey struct {
	ID     string `toml:"id"`
	Secret string `toml:"secret"`
}

type contextsFile struct {
	Version  int                    `toml:"version"`
	Current  string                 `toml:"current"`
	Contexts map[string]fileContext `toml:"contexts"`
}

// ReadContexts reads the contexts file at path. A file that does not exist holds
// no context besides Local. Errors are *Error.
func ReadContexts(path string) (*Contexts, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseContexts(path, text)
	if err != nil {
		return nil, err
	}
	return c, c.private()
}

// private refuses a file that has secrets in it and that others can read.
func (c *Contexts) private() error {
	info, err := os.Stat(c.Path)
	if err != nil || !Exposed(info.Mode()) {
		return nil // a file that is not there has no secrets
	}
	for name, ctx := range c.named {
		if ctx.Key.Secret.IsLiteral() || ctx.Token.IsLiteral() || ctx.FastlyKey.IsLiteral() {
			return &Error{Reason: SecretExposed, File: c.Path, Line: lineOf(c.text, "contexts", name),
				Text: fmt.Sprintf("context %q holds a secret and other users can read the file", name),
				Hint: "chmod 600 " + c.Path}
		}
	}
	return nil
}

// readFile reads a configuration file; a missing one is empty.
func readFile(path string) (string, error) {
	text, err := readBounded(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", &Error{Reason: Unreadable, File: path, Text: "cannot be read", Err: err}
	case len(text) > maxFile:
		return "", &Error{Reason: Unreadable, File: path, Text: "is larger than 1 MiB"}
	}
	return text, nil
}

func parseContexts(path, text string) (*Contexts, error) {
	var f contextsFile
	if err := decodeStrict(path, text, &f); err != nil {
		return nil, err
	}
	if f.Version != 1 && text != "" && f.Version != 0 {
		return nil, &Error{Reason: BadValue, File: path, Line: lineOf(text, "version"),
			Text: fmt.Sprintf("version %d is not known; this pubsubctl reads version 1", f.Version)}
	}
	c := &Contexts{Path: path, Current: f.Current, named: map[string]Context{}, text: text}
	for name, fc := range f.Contexts {
		ctx, err := fc.context(path, text, name)
		if err != nil {
			return nil, err
		}
		c.named[name] = ctx
	}
	return c, nil
}

// context checks one table and turns its references into Refs.
func (f fileContext) context(path, text, name string) (Context, error) {
	at := func(reason Reason, key, sentence string) error {
		return &Error{Reason: reason, File: path, Line: lineOf(text, "contexts", name, key), Text: sentence}
	}
	if f.URL != "" {
		if err := CheckURL(f.URL); err != nil {
			return Context{}, at(BadValue, "url", "url "+err.Error())
		}
	}
	if f.APIURL != "" {
		if err := CheckURL(f.APIURL); err != nil {
			return Context{}, at(BadValue, "api_url", "api_url "+err.Error())
		}
	}
	c := Context{URL: f.URL, ServiceID: f.ServiceID, APIURL: f.APIURL, Protected: f.Protected,
		APIToken: ParseRef(f.APIToken), Token: ParseRef(f.Token), FastlyKey: ParseRef(f.FastlyKey)}
	if c.APIToken.IsLiteral() {
		return Context{}, at(SecretLiteral, "api_token", "api_token must be a reference: env:, keyring:, file: or cmd:")
	}
	if f.Key != nil {
		c.Key = Key{ID: f.Key.ID, Secret: ParseRef(f.Key.Secret)}
		if c.Key.ID == "" || c.Key.Secret.IsZero() {
			return Context{}, at(BadValue, "key", "key needs both id and secret")
		}
	}
	return c, nil
}

// OnLoopback reports whether an address is of this machine. It decides where a
// credential may go unencrypted, so what it cannot read is not.
func OnLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckURL reports what is wrong with the address of a service: it must be an
// absolute http or https URL without credentials, query and fragment.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must look like https://HOST")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New("must not hold credentials, a query or a fragment")
	}
	return nil
}

// decodeStrict reads TOML into v and refuses keys that v has no place for.
func decodeStrict(path, text string, v any) error {
	meta, err := toml.Decode(text, v)
	if err != nil {
		return syntaxError(path, err)
	}
	unknown := meta.Undecoded()
	if len(unknown) == 0 {
		return nil
	}
	key := unknown[0]
	return &Error{Reason: UnknownKey, File: path, Line: lineOf(text, key...),
		Text: fmt.Sprintf("unknown key %q", strings.Join(key, ".")), Hint: helpFiles}
}

// helpFiles is the command that shows what the files may hold.
const helpFiles = "pubsubctl help environment"

// syntaxError says where the TOML is wrong. The parser's own sentence is not
// shown, because it may quote the line, and the line may hold a secret. The
// number of the line is at its start.
func syntaxError(path string, err error) *Error {
	e := &Error{Reason: BadValue, File: path, Text: "a value has the wrong type", Hint: helpFiles}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		e.Reason, e.Text = Syntax, "is not valid TOML"
	}
	if _, err := fmt.Sscanf(err.Error(), "toml: line %d", &e.Line); err != nil {
		e.Line = 0 // the file is named at least
	}
	return e
}

// Names lists the contexts in order, Local among them.
func (c *Contexts) Names() []string {
	names := slices.Collect(maps.Keys(c.named))
	if _, ok := c.named[Local]; !ok {
		names = append(names, Local)
	}
	slices.Sort(names)
	return names
}

// Get gives the context of a name.
func (c *Contexts) Get(name string) (Context, bool) {
	if ctx, ok := c.named[name]; ok {
		return ctx, true
	}
	return builtin(), name == Local
}

// Saved reports whether the file has a table for name; Local may be there
// without one.
func (c *Contexts) Saved(name string) bool {
	_, ok := c.named[name]
	return ok
}

// Selected is the name of the context that is used when nothing else says which.
func (c *Contexts) Selected() string {
	if c.Current == "" {
		return Local
	}
	return c.Current
}

// DefaultPath is the contexts file in the user's configuration directory:
// pubsubctl/config.toml below XDG_CONFIG_HOME or ~/.config, below
// ~/Library/Application Support on macOS, below AppData on Windows. It is empty
// if the environment names no such directory.
func DefaultPath(goos string, env func(string) string) string {
	dir := env("XDG_CONFIG_HOME")
	home := env("HOME")
	switch {
	case goos == "windows":
		dir = env("AppData")
		if dir == "" {
			dir = env("APPDATA")
		}
	case dir != "" && filepath.IsAbs(dir):
	case home == "":
		dir = ""
	case goos == "darwin":
		dir = filepath.Join(home, "Library", "Application Support")
	default:
		dir = filepath.Join(home, ".config")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "pubsubctl", "config.toml")
}

// ProjectFile is the name of the file that a project may hold.
const ProjectFile = ".pubsubctl.toml"

// Project is what a project file may say. It may select and locate, and it
// holds no secret, because it is made to be committed.
type Project struct {
	Path      string // empty if there is no such file
	Context   string `toml:"context"`
	URL       string `toml:"url"`
	ServiceID string `toml:"service_id"`
}

// secretKeys are refused in a project file with a sentence of their own.
func secretKey(name string) bool {
	switch name {
	case "token", "api_token", "key", "key_id", "key_secret", "fastly_key", "secret", "contexts":
		return true
	}
	return false
}

// ReadProject reads the project file of dir: the one in dir, or in the nearest
// directory above it that has one, not looking beyond the root of a Git work
// tree. Errors are *Error.
func ReadProject(dir string) (Project, error) {
	path := findProject(dir)
	if path == "" {
		return Project{}, nil
	}
	text, err := readFile(path)
	if err != nil {
		return Project{}, err
	}
	var f struct {
		Context   string `toml:"context"`
		URL       string `toml:"url"`
		ServiceID string `toml:"service_id"`
	}
	if err := projectSecret(path, text); err != nil {
		return Project{}, err
	}
	if err := decodeStrict(path, text, &f); err != nil {
		return Project{}, err
	}
	if f.URL != "" {
		if err := CheckURL(f.URL); err != nil {
			return Project{}, &Error{Reason: BadValue, File: path, Line: lineOf(text, "url"), Text: "url " + err.Error()}
		}
	}
	return Project{Path: path, Context: f.Context, URL: f.URL, ServiceID: f.ServiceID}, nil
}

func projectSecret(path, text string) error {
	var raw map[string]any
	if _, err := toml.Decode(text, &raw); err != nil {
		return syntaxError(path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if secretKey(name) {
			return &Error{Reason: SecretInProject, File: path, Line: lineOf(text, name),
				Text: fmt.Sprintf("a project file holds no secrets, so not %q; put it in a context", name),
				Hint: "pubsubctl context add NAME --help"}
		}
	}
	return nil
}

func findProject(dir string) string {
	for range 64 { // deeper than any sane tree
		path := filepath.Join(dir, ProjectFile)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return ""
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
	return ""
}

// readManifest gives the service id in the fastly.toml of dir, or nothing. The
// file belongs to another program: what else it holds, and whether it is valid,
// is not our business.
func readManifest(dir string) (id, path string) {
	path = filepath.Join(dir, "fastly.toml")
	text, err := readBounded(path, maxFile)
	if err != nil || len(text) > maxFile {
		return "", path
	}
	var f struct {
		ServiceID string `toml:"service_id"`
	}
	if _, err := toml.Decode(text, &f); err != nil {
		return "", path
	}
	return f.ServiceID, path
}
