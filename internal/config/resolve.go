package config

import (
	"fmt"
	"os"
	"strings"
)

// Level is how strong a source of values is; a higher one wins.
type Level int

// The levels, weakest first.
const (
	Default     Level = iota // built in
	FromFastly               // the Fastly CLI's own configuration
	FromContext              // the selected context
	FromProject              // the project file
	Environment              // a variable
	Flag                     // the command line
)

// Origin says where a value came from.
type Origin struct {
	Level Level
	// Name is the flag, the variable, the file, or the context.
	Name string
}

// String names the origin for people.
func (o Origin) String() string {
	switch o.Level {
	case Flag:
		return "flag --" + o.Name
	case Environment:
		return "environment " + o.Name
	case FromProject:
		return "project file " + o.Name
	case FromContext:
		return "context " + o.Name
	case FromFastly:
		return "Fastly CLI " + o.Name
	}
	return "built-in default"
}

// Value is a setting and where it came from. The zero Value is unset.
type Value struct {
	Text   string
	Origin Origin
}

// IsSet reports whether the setting has a value.
func (v Value) IsSet() bool { return v.Text != "" }

// Ref reads the value as a secret reference.
func (v Value) Ref() Ref { return ParseRef(v.Text) }

// Source is what Resolve reads from.
type Source struct {
	// Flag gives the value of a flag by its long name, empty if not given.
	Flag func(name string) string
	// Env gives an environment variable, empty if unset.
	Env func(name string) string
	// Dir is the working directory, where project files are looked for.
	Dir string
	// Path is the contexts file; empty means that there is none.
	Path string
	// MustExist makes a missing contexts file an error, because the user named it.
	MustExist bool
}

// Settings is every value that says what a command talks to, after precedence.
type Settings struct {
	// Context is the name of the selected context.
	Context Value
	URL     Value
	// ServiceID is the id of the Compute service.
	ServiceID Value
	// Token is a token or a reference to one.
	Token Value
	// KeyID and KeySecret are the signing key; both come from one origin. The
	// secret is a reference or the value itself.
	KeyID, KeySecret Value
	// FastlyKey is the credential for /admin/keys.
	FastlyKey Value
	// APIToken is the credential for the platform, and APIURL its address.
	APIToken, APIURL Value
	// Protected asks for the name of the service before anything destructive.
	Protected bool

	// Contexts is the contexts file.
	Contexts *Contexts

	contextURL string // what the selected context itself says
}

// Resolve applies the one order of precedence: flag, environment, project file,
// selected context, built-in default. Errors are *Error.
func Resolve(src Source) (*Settings, error) {
	contexts, err := openContexts(src)
	if err != nil {
		return nil, err
	}
	project, err := ReadProject(src.Dir)
	if err != nil {
		return nil, err
	}
	r := resolver{src: src, project: project}
	s := &Settings{Contexts: contexts}
	s.Context = r.first("context", "PUBSUBCTL_CONTEXT", project.Context, contexts.Selected())
	if s.Context.Origin.Level == FromContext {
		s.Context.Origin = selectedBy(contexts)
	}
	ctx, ok := contexts.Get(s.Context.Text)
	if !ok {
		return nil, contexts.Unknown(s.Context.Text)
	}
	r.context = s.Context.Text
	r.builtin = !contexts.Saved(r.context)
	return s, r.fill(s, ctx)
}

func openContexts(src Source) (*Contexts, error) {
	if src.Path == "" {
		return &Contexts{}, nil
	}
	if _, err := os.Stat(src.Path); err != nil && src.MustExist {
		return nil, &Error{Reason: Unreadable, File: src.Path, Text: "cannot be read", Err: err}
	}
	return ReadContexts(src.Path)
}

func selectedBy(c *Contexts) Origin {
	if c.Current == "" {
		return Origin{Level: Default}
	}
	return Origin{Level: FromContext, Name: "file " + c.Path}
}

// resolver knows the sources of one call of Resolve.
type resolver struct {
	src     Source
	project Project
	context string
	builtin bool
}

// fill sets every member but the context itself.
func (r resolver) fill(s *Settings, ctx Context) error {
	s.contextURL, s.Protected = ctx.URL, ctx.Protected
	s.URL = r.first("url", "PUBSUBCTL_URL", r.project.URL, ctx.URL)
	s.ServiceID = r.serviceID(ctx)
	s.Token = r.first("token", "PUBSUBCTL_TOKEN", "", ctx.Token.source())
	s.FastlyKey = r.first("fastly-key", "PUBSUBCTL_FASTLY_KEY", "", ctx.FastlyKey.source())
	s.APIToken = r.first("", "FASTLY_API_TOKEN", "", ctx.APIToken.source())
	if !s.APIToken.IsSet() {
		if tok, path := fastlyCLIToken(r.src.Env); tok != "" {
			s.APIToken = Value{tok, Origin{FromFastly, path}}
		}
	}
	s.APIURL = r.first("api-url", "FASTLY_API_ENDPOINT", "", "")
	if !s.APIURL.IsSet() {
		s.APIURL = r.first("", "FASTLY_API_URL", "", ctx.APIURL)
	}
	if s.URL.IsSet() {
		if err := CheckURL(s.URL.Text); err != nil {
			return &Error{Reason: BadValue, Text: fmt.Sprintf("the url from %s %s", s.URL.Origin, err)}
		}
		s.URL.Text = strings.TrimRight(s.URL.Text, "/")
	}
	return r.key(s, ctx)
}

// key takes id and secret from one level, because half of a key is of no use
// with half of another.
func (r resolver) key(s *Settings, ctx Context) error {
	id := r.first("key-id", "PUBSUBCTL_KEY_ID", "", ctx.Key.ID)
	secret := r.first("key-secret", "PUBSUBCTL_KEY_SECRET", "", ctx.Key.Secret.source())
	if id.Origin.Level != secret.Origin.Level {
		half := id
		if secret.Origin.Level > id.Origin.Level {
			half = secret
		}
		return &Error{Reason: BadValue, Text: fmt.Sprintf("%s gives half of a key; give the id and the secret together", half.Origin)}
	}
	s.KeyID, s.KeySecret = id, secret
	return nil
}

// serviceID is read from fastly.toml too, where nothing else names it.
func (r resolver) serviceID(ctx Context) Value {
	v := r.first("service-id", "PUBSUBCTL_SERVICE_ID", r.project.ServiceID, ctx.ServiceID)
	if v.Origin.Level < Environment {
		if id := r.src.Env("FASTLY_SERVICE_ID"); id != "" {
			return Value{id, Origin{Environment, "FASTLY_SERVICE_ID"}}
		}
	}
	if v.IsSet() {
		return v
	}
	if id, path := readManifest(r.src.Dir); id != "" {
		return Value{id, Origin{FromProject, path}}
	}
	return Value{}
}

// first is the order of precedence. A setting without a flag has an empty flag name.
func (r resolver) first(flag, env, project, context string) Value {
	if flag != "" && r.src.Flag != nil {
		if v := r.src.Flag(flag); v != "" {
			return Value{v, Origin{Flag, flag}}
		}
	}
	if v := r.src.Env(env); v != "" {
		return Value{v, Origin{Environment, env}}
	}
	switch {
	case project != "":
		return Value{project, Origin{FromProject, r.project.Path}}
	case context == "":
		return Value{}
	case r.builtin:
		return Value{context, Origin{Level: Default}}
	}
	return Value{context, Origin{FromContext, r.context}}
}

// UseToken reports whether a command presents Token as it is. If not, it signs
// one with the key. The stronger origin wins, and a token where both are equal.
func (s *Settings) UseToken() bool {
	if !s.KeyID.IsSet() {
		return s.Token.IsSet()
	}
	return s.Token.IsSet() && s.Token.Origin.Level >= s.KeyID.Origin.Level
}

// CheckRedirect refuses to send what a context holds to an address that a
// project file names: whoever can commit such a file could else collect tokens.
// The built-in context holds nothing secret and may go anywhere. A command calls
// it before it uses a credential. The error is an *Error.
func (s *Settings) CheckRedirect() error {
	if s.URL.Origin.Level != FromProject || s.URL.Text == strings.TrimRight(s.contextURL, "/") {
		return nil
	}
	for _, v := range [...]Value{s.Token, s.KeySecret, s.FastlyKey} {
		if v.IsSet() && v.Origin.Level == FromContext {
			return &Error{Reason: Redirected, Hint: "pubsubctl context show --resolved",
				Text:   fmt.Sprintf("the credentials of context %q are not for %s", s.Context.Text, s.URL.Text),
				Detail: fmt.Sprintf("the address is from the %s; --url %s agrees to it", s.URL.Origin, s.URL.Text)}
		}
	}
	return nil
}

// Entry is one row of what was resolved, fit to be shown.
type Entry struct {
	Name, Value, Origin string
}

// List gives every setting in a fixed order with secrets masked. Settings that
// are not set have an empty Value and Origin.
func (s *Settings) List() []Entry {
	entries := []Entry{}
	add := func(name string, v Value, shown string) {
		e := Entry{Name: name}
		if v.IsSet() {
			e.Value, e.Origin = shown, v.Origin.String()
		}
		entries = append(entries, e)
	}
	add("context", s.Context, s.Context.Text)
	add("url", s.URL, s.URL.Text)
	add("service_id", s.ServiceID, s.ServiceID.Text)
	add("token", s.Token, s.Token.Ref().String())
	add("key_id", s.KeyID, s.KeyID.Text)
	add("key_secret", s.KeySecret, s.KeySecret.Ref().String())
	add("fastly_key", s.FastlyKey, s.FastlyKey.Ref().String())
	add("api_token", s.APIToken, s.APIToken.Ref().String())
	add("api_url", s.APIURL, s.APIURL.Text)
	return entries
}
