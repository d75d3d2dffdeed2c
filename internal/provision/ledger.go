package provision

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Ledger is what this program has made of a service, and what it was about to
// make. It is a file that only its owner can read, and it holds no secret.
type Ledger struct {
	Schema int `json:"schema"`
	// Install is random; the service's comment carries it, which proves that the
	// service is of this ledger.
	Install     string `json:"install"`
	ServiceID   string `json:"service_id,omitempty"`
	ServiceName string `json:"service_name"`
	// Prefix begins the names of the stores.
	Prefix string `json:"prefix"`
	Domain string `json:"domain,omitempty"`
	// Generated says that the domain's name was made up here.
	Generated bool `json:"domain_generated,omitempty"`
	// Created are the objects that may be removed again; Adopted were there before.
	Created []Object `json:"created,omitempty"`
	Adopted []Object `json:"adopted,omitempty"`
	// Intents are what was about to be made and of which nobody knows yet whether it
	// was. There may be several: a run of one step leaves those of others alone.
	Intents []Intent `json:"intents,omitempty"`
	// Versions are those that were made here.
	Versions []int `json:"versions,omitempty"`
	// Secret is the digest of the publish token's entry after it was written here,
	// and TokenMark tells whether another token is the same.
	Secret    string `json:"secret_digest,omitempty"`
	TokenMark string `json:"token_mark,omitempty"`
	// TokenID and TokenName are of a publish token that was made here.
	TokenID   string `json:"token_id,omitempty"`
	TokenName string `json:"token_name,omitempty"`
	// FilesHash is of the package uploaded last, Keys are the signing keys made
	// here, KeyID is the one that the context has.
	FilesHash string   `json:"files_hash,omitempty"`
	Keys      []string `json:"keys,omitempty"`
	KeyID     string   `json:"key_id,omitempty"`
	// Context is the name of the context that was saved.
	Context string `json:"context,omitempty"`
	// NoMessages says that the store for retained messages was left out on purpose.
	NoMessages bool `json:"no_messages,omitempty"`
	// Tested is what the self-test last passed for.
	Tested string `json:"tested,omitempty"`

	book *Book
	file string
}

// Kinds of objects besides the kinds of stores.
const (
	ObjectService = "service"
	ObjectDomain  = "domain" // of the versionless API
	ObjectFanout  = "fanout"
	ObjectToken   = "token"
	ObjectVersion = "version"
	ObjectKey     = "key"
)

// Object is something on the platform.
type Object struct {
	Kind string    `json:"kind"`
	ID   string    `json:"id"`
	Name string    `json:"name,omitempty"`
	Time time.Time `json:"time"`
}

// Intent is something about to be made. If a run ends with one, the next looks for
// what became of it.
type Intent struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Seen is what was there before, where that is how the new one is known.
	Seen []string `json:"seen,omitempty"`
}

// saw reports whether something was there before.
func (i Intent) saw(id string) bool { return slices.Contains(i.Seen, id) }

// knows reports whether an object was made here, or agreed to be used.
func (l *Ledger) knows(kind, id string) bool {
	is := func(o Object) bool { return o.Kind == kind && o.ID == id }
	return slices.ContainsFunc(l.Created, is) || slices.ContainsFunc(l.Adopted, is)
}

// made is the name made up for the service on the network.
func (l *Ledger) made() string { return "pubsub-" + l.Install[:12] + edgeSuffix }

// Made gives the object of a kind and name that was made here.
func (l *Ledger) Made(kind, name string) (Object, bool) {
	for _, o := range l.Created {
		if o.Kind == kind && o.Name == name {
			return o, true
		}
	}
	return Object{}, false
}

// intent gives what was noted about something that was about to be made.
func (l *Ledger) intent(kind, name string) (i Intent, open bool) {
	n := slices.IndexFunc(l.Intents, func(i Intent) bool { return i.Kind == kind && i.Name == name })
	if n < 0 {
		return Intent{}, false
	}
	return l.Intents[n], true
}

// intends reports whether something was about to be made.
func (l *Ledger) intends(kind, name string) bool {
	_, open := l.intent(kind, name)
	return open
}

// begin notes that something is about to be made.
func (l *Ledger) begin(i Intent) error {
	l.settled(i.Kind, i.Name)
	l.Intents = append(l.Intents, i)
	return l.save()
}

// settled forgets, in memory, that something was about to be made.
func (l *Ledger) settled(kind, name string) {
	l.Intents = slices.DeleteFunc(l.Intents, func(i Intent) bool { return i.Kind == kind && i.Name == name })
}

// drop forgets an intent of which it is certain that nothing came.
func (l *Ledger) drop(kind, name string) error {
	l.settled(kind, name)
	return l.save()
}

// done notes what was made, which settles the intent of this name.
func (l *Ledger) done(intent string, o Object) error {
	o.Time = l.book.Now().UTC().Truncate(time.Second)
	if !slices.ContainsFunc(l.Created, func(c Object) bool { return c.Kind == o.Kind && c.ID == o.ID }) {
		l.Created = append(l.Created, o)
	}
	l.settled(o.Kind, intent)
	return l.save()
}

// adopt notes what was there before.
func (l *Ledger) adopt(o Object) error {
	o.Time = l.book.Now().UTC().Truncate(time.Second)
	known := func(c Object) bool { return c.Kind == o.Kind && c.ID == o.ID }
	if slices.ContainsFunc(l.Created, known) || slices.ContainsFunc(l.Adopted, known) {
		return nil
	}
	l.Adopted = append(l.Adopted, o)
	return l.save()
}

// Forget removes an object from what was made.
func (l *Ledger) Forget(kind, id string) error {
	l.Created = slices.DeleteFunc(l.Created, func(o Object) bool { return o.Kind == kind && o.ID == id })
	return l.save()
}

// Mark tells a token from another without holding it: a hash keyed with what is
// in this ledger alone.
func (l *Ledger) Mark(token config.Secret) string {
	m := hmac.New(sha256.New, []byte("publish token of "+l.Install))
	m.Write([]byte(token.Reveal()))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// Book is the directory with the ledgers of one platform.
type Book struct {
	// Dir is the directory; it is made with the first ledger.
	Dir string
	// Now is the clock.
	Now func() time.Time

	// flush brings a file to the disk; nil does so. Tests that kill a run and not the
	// machine have no use for it, and it takes most of their time.
	flush func(*os.File) error
}

// OpenBook is the book for an endpoint, below the directory for state.
func OpenBook(stateDir, endpoint string, now func() time.Time) *Book {
	host := "unknown"
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		host = strings.ReplaceAll(u.Host, ":", "_") // no colon in names on Windows
	}
	return &Book{Dir: filepath.Join(stateDir, host), Now: now}
}

// maxLedger bounds a ledger file, in bytes.
const maxLedger = 1 << 20

// schema is the version of the ledger's form.
const schema = 1

// All reads every ledger there is. One that cannot be read is an error, beside those
// that can: going on without it could make everything a second time.
func (b *Book) All() ([]*Ledger, error) {
	names, err := filepath.Glob(filepath.Join(b.Dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []*Ledger
	var damaged error
	for _, name := range names {
		if l, err := b.read(name); err == nil {
			all = append(all, l)
		} else if damaged == nil {
			damaged = err
		}
	}
	return withoutEarlier(all), damaged
}

// withoutEarlier drops a ledger from before its service had an id, if the one that
// took its place is there: a run that ends between the two leaves both.
func withoutEarlier(all []*Ledger) []*Ledger {
	later := map[string]bool{}
	for _, l := range all {
		later[l.Install] = later[l.Install] || l.ServiceID != ""
	}
	return slices.DeleteFunc(all, func(l *Ledger) bool { return l.ServiceID == "" && later[l.Install] })
}

func (b *Book) read(name string) (*Ledger, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxLedger {
		return nil, &LedgerError{name, errors.New("it is larger than any that this program writes")}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	l := &Ledger{book: b, file: name}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, &LedgerError{name, errors.New("it is damaged")}
	}
	if l.Schema != schema {
		return nil, &LedgerError{name, fmt.Errorf("it has form %d, and this program knows form %d", l.Schema, schema)}
	}
	return l, nil
}

// LedgerError is a ledger that cannot be used.
type LedgerError struct {
	File string
	Err  error
}

// Error names the file.
func (e *LedgerError) Error() string {
	return "the ledger " + e.File + " cannot be used: " + e.Err.Error()
}

// Unwrap gives the reason.
func (e *LedgerError) Unwrap() error { return e.Err }

// New is an empty ledger, in memory.
func (b *Book) New(name string) *Ledger {
	return &Ledger{Schema: schema, Install: randomText(16), ServiceName: name, Prefix: "pubsub_" + randomText(6), book: b}
}

// Of finds the ledger of a service's id; nil if there is none. A ledger of another
// service that cannot be read is not in the way of one that can.
func (b *Book) Of(serviceID string) (*Ledger, error) {
	all, err := b.All()
	for _, l := range all {
		if l.ServiceID == serviceID && serviceID != "" {
			return l, nil
		}
	}
	return nil, err
}

// randomText is n random letters and digits, beginning with a letter.
func randomText(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
	return string('a'+raw[0]%26) + text[1:n]
}

// save writes the ledger: whole or not at all, for its owner only. It is called
// before each change on the platform, so a ledger that cannot be written ends a
// run before it does what nobody would know of.
func (l *Ledger) save() error {
	if err := os.MkdirAll(l.book.Dir, 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(l.book.Dir, l.name())
	if err := l.book.write(path, append(text, '\n')); err != nil {
		return err
	}
	if l.file != "" && l.file != path {
		_ = os.Remove(l.file) // from before the service had an id; both say the same
	}
	l.file = path
	return nil
}

// name is the file's: the service's id, or something of the name before it has one.
func (l *Ledger) name() string {
	if l.ServiceID != "" {
		return url.PathEscape(l.ServiceID) + ".json"
	}
	return "new-" + l.Install + ".json"
}

// write makes a file of mode 0600 that appears whole.
func (b *Book) write(path string, text []byte) error {
	flush := b.flush
	if flush == nil {
		flush = (*os.File).Sync
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ledger-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = flush(f)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Close sets the ledger aside once nothing of it is left on the platform.
func (l *Ledger) Close() error { return os.Rename(l.file, l.file+".removed") }

// BusyError says that another run works with the same ledgers.
type BusyError struct{ PID int }

// Error names the process.
func (e *BusyError) Error() string {
	if e.PID == 0 {
		return "another setup or teardown is running"
	}
	return "another setup or teardown is running, process " + strconv.Itoa(e.PID)
}

// Lock keeps others from changing the book until unlock is called. The system gives
// it up with the process, so that one which was killed leaves none behind; the file
// stays, and says who has it while somebody has.
func (b *Book) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(b.Dir, "lock")
	f, err := config.OpenLocked(path)
	if errors.Is(err, config.ErrHeld) {
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text))) // 0 where it cannot be read
		return nil, &BusyError{pid}
	}
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = errors.Join(f.Truncate(0), f.Close()) }, nil
}

// storeName is what the store behind a link is called.
func (l *Ledger) storeName(link string) string { return l.Prefix + "_" + link }

// storeKind is the kind of object that a store is.
func storeKind(k fastly.Kind) string { return string(k) + "-store" }

// Removed reports whether a service was torn down and its ledger set aside.
func (b *Book) Removed(serviceID string) bool {
	_, err := os.Stat(filepath.Join(b.Dir, url.PathEscape(serviceID)+".json.removed"))
	return err == nil
}
