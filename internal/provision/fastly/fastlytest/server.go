package fastlytest

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Options says what account to imitate. The zero value has one token, "local",
// that may do everything, and nothing else.
type Options struct {
	// Seed makes ids, tokens and keys; the same seed and calls give the same ones.
	Seed uint64
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
	// Tokens are the tokens to begin with; nil stands for the one whose Value is
	// DefaultToken.
	Tokens []Token
	// Login, Password and OTP are what POST /sudo accepts. Empty ones stand for
	// DefaultLogin, DefaultPassword and no one-time password.
	Login, Password, OTP string
	// HourlyWrites is the budget of counted writes in each hour of the clock; 0
	// stands for 1000, a negative number for none.
	HourlyWrites int
	// TakenDomains belong to another customer.
	TakenDomains []string
	// Publisher is handed what is published; nil only records it. Server.Attach
	// sets it later.
	Publisher Publisher
}

// What a Server accepts unless told otherwise.
const (
	DefaultToken    = "local"
	DefaultLogin    = "user@example.com"
	DefaultPassword = "password"
)

// Publisher delivers what comes in at POST /service/ID/publish/.
type Publisher interface {
	// Publish is given the request's body. An error is answered with 400 and its
	// text. It must not call the Server.
	Publish(ctx context.Context, service string, body json.RawMessage) error
}

// Server is an imitated account. All its methods may be called from any goroutine.
type Server struct {
	// Static after New.
	opt     Options
	handler http.Handler

	mu         sync.Mutex // guards the following
	account    *Account
	mint       mint
	generation uint64 // of KV items
	turn       uint64 // rotations of the signing key
	clientKeys map[string]*clientKey
	budget     budget
	faults     []*fault
	traits     traits
	requests   []Request
	published  []Published
	publisher  Publisher
	sightings  []sighting
}

// budget counts the writes of one hour.
type budget struct {
	hour time.Time
	used int
}

// New makes a Server.
func New(o Options) *Server {
	s := &Server{opt: o.withDefaults(), account: &Account{}, mint: mint{seed: o.Seed}, clientKeys: map[string]*clientKey{}}
	s.publisher = o.Publisher
	for _, t := range s.opt.Tokens {
		s.addToken(t)
	}
	s.handler = s.routes()
	s.changed()
	return s
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tokens == nil {
		o.Tokens = []Token{{Name: "local", Value: DefaultToken}}
	}
	if o.Login == "" {
		o.Login = DefaultLogin
	}
	if o.Password == "" {
		o.Password = DefaultPassword
	}
	if o.HourlyWrites == 0 {
		o.HourlyWrites = 1000
	}
	return o
}

// Handler answers as the platform API does, and POST and DELETE /__fault.
func (s *Server) Handler() http.Handler { return s.handler }

// Attach replaces the Publisher.
func (s *Server) Attach(p Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publisher = p
}

// Snapshot is a copy of the account as it is now.
func (s *Server) Snapshot() *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account.clone()
}

// Change lets f change the account directly, the way somebody else would in the
// control panel. f must not call the Server.
func (s *Server) Change(f func(*Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.account)
	s.changed()
}

// AddToken adds a token and returns it as it is kept: with an id, and a value if
// it had none.
func (s *Server) AddToken(t Token) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := *s.addToken(t)
	s.changed()
	return added
}

func (s *Server) addToken(t Token) *Token {
	if t.ID == "" {
		t.ID = s.mint.id()
	}
	if t.Value == "" {
		t.Value = s.mint.token()
	}
	if t.Scope == "" {
		t.Scope = "global"
	}
	if t.Role == "" {
		t.Role = "superuser"
	}
	if t.Created.IsZero() {
		t.Created = s.now()
	}
	s.account.Tokens = append(s.account.Tokens, &t)
	return &t
}

// now is the time, cut to what the API shows.
func (s *Server) now() time.Time { return s.opt.Now().UTC() }

// Request is one request that arrived, credentials included.
type Request struct {
	Method string
	// Path is as it was sent, Query without the question mark.
	Path, Query string
	Header      http.Header
	// Body is what was sent, cut at 16 KiB.
	Body []byte
	// Status is what was answered; 0 if the connection was cut off instead.
	Status int
	// Fault is the kind of the fault that struck, empty for none.
	Fault Kind
}

// Write reports whether the request was meant to change something.
func (r Request) Write() bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Published is one accepted call of the publish endpoint.
type Published struct {
	Service string
	Body    json.RawMessage
}

// What is kept of the past.
const (
	maxRequests  = 5000
	maxKeptBody  = 16 << 10
	maxPublished = 1000
)

// Requests returns the newest requests, oldest first; those to /__fault are not
// among them.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// ForgetRequests makes Requests begin anew.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Published returns what was published while no Publisher was there, oldest first.
func (s *Server) Published() []Published {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Published(nil), s.published...)
}

func (s *Server) record(r *http.Request, body []byte, status int, kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == maxRequests {
		s.requests = append(s.requests[:0], s.requests[maxRequests/10:]...)
	}
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone(),
		Body: append([]byte(nil), body[:min(len(body), maxKeptBody)]...), Status: status, Fault: kind,
	})
}
