package fastlytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a fault does.
type Kind string

// The kinds of faults. All but AfterEffect, Slow and Truncate keep the request
// from taking effect.
const (
	// Status answers Fault.Status with Fault.Body.
	Status Kind = "status"
	// Timeout answers nothing until Fault.Delay has passed or the client is gone,
	// and then cuts the connection off.
	Timeout Kind = "timeout"
	// AfterEffect does what was asked, waits for Fault.Delay and cuts the
	// connection off without an answer.
	AfterEffect Kind = "after_effect"
	// Reset cuts the connection off at once.
	Reset Kind = "reset"
	// Slow answers after Fault.Delay.
	Slow Kind = "slow"
	// Truncate answers half of the body and cuts the connection off.
	Truncate Kind = "truncate"
	// HTML503 answers as the edge does when the API is down.
	HTML503 Kind = "html503"
	// RateLimit answers 429; the budget is full again after Fault.Delay, or at the
	// full hour if that is 0.
	RateLimit Kind = "ratelimit"
)

// Fault is a misbehaviour and the requests it strikes.
type Fault struct {
	Match Match
	Kind  Kind
	// Status and Body are for Status; no Status stands for 500.
	Status int
	Body   string
	Delay  time.Duration
}

// Match selects requests. Its zero value matches the first request of all.
type Match struct {
	// Method is a method; empty stands for all, "write" for all but GET and HEAD.
	Method string
	// Path is a regular expression for the escaped path; empty matches all.
	Path string
	// Nth counts matching requests from 1; 0 stands for 1.
	Nth int
	// Times is how often the fault strikes from then on: 0 stands for 1, a
	// negative number for always.
	Times int
}

// fault is a Fault that is in place.
type fault struct {
	Fault
	path *regexp.Regexp // nil matches all
	seen int
}

// maxFaults bounds how many faults can be in place.
const maxFaults = 1000

// defaultTimeout is how long a Timeout without a Delay holds a request.
const defaultTimeout = time.Minute

// Fault puts a fault in place. The first of those that match a request strikes.
// It fails if Kind is unknown or Match.Path is no regular expression.
func (s *Server) Fault(f Fault) error {
	kinds := []Kind{Status, Timeout, AfterEffect, Reset, Slow, Truncate, HTML503, RateLimit}
	if !slices.Contains(kinds, f.Kind) {
		return fmt.Errorf("unknown kind of fault %q", f.Kind)
	}
	placed := &fault{Fault: f}
	if f.Match.Path != "" {
		var err error
		if placed.path, err = regexp.Compile(f.Match.Path); err != nil {
			return fmt.Errorf("fault's path: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == maxFaults {
		return errors.New("too many faults")
	}
	s.faults = append(s.faults, placed)
	return nil
}

// ClearFaults ends all faults and presets.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.traits = nil, traits{}
	s.changed()
}

// strike is the fault that strikes a request, or nil.
func (s *Server) strike(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if !f.matches(r) {
			continue
		}
		f.seen++
		first := max(f.Match.Nth, 1)
		times := f.Match.Times
		if times == 0 {
			times = 1
		}
		if f.seen >= first && (times < 0 || f.seen < first+times) {
			return &f.Fault
		}
	}
	return nil
}

func (f *fault) matches(r *http.Request) bool {
	write := r.Method != http.MethodGet && r.Method != http.MethodHead
	if m := f.Match.Method; m != "" && m != r.Method && (m != "write" || !write) {
		return false
	}
	return f.path == nil || f.path.MatchString(r.URL.EscapedPath())
}

// traits is what presets change.
type traits struct {
	limitedUntil     time.Time // counted writes are refused
	skew             time.Duration
	lag              time.Duration // what the edge is behind
	domainsTaken     int           // how many more domains turn out taken
	kvQuota          bool
	kvZones          bool
	noEntitlement    bool
	noSuperuser      bool
	noClassicDomains bool
	sso              bool
	lockDraft        bool // at the next change of a draft
	moveActive       bool // after the next change of a draft
}

// Preset makes the account or the platform one of a kind:
//
//	429-until=+3s        counted writes are refused for so long
//	clock-skew=10m       the Date header is off by so much
//	domain-taken=2       so many domains turn out to be taken
//	eventual=5s          the edge learns of changes so much later
//	kv-zones             KV stores' times have a zone
//	locked-draft         the next change of a draft finds it locked
//	moved-active         behind the next change of a draft, somebody activates another version
//	no-classic-domains   domains other than edgecompute.app are refused by the classic call
//	no-entitlement       Fanout cannot be switched
//	no-superuser         automation tokens cannot be made
//	quota-kv             KV stores cannot be made
//	signing-key-rotated  client keys are signed by another key
//	sso-account          there is no sudo mode
func (s *Server) Preset(text string) error {
	name, value, _ := strings.Cut(text, "=")
	s.mu.Lock()
	defer s.mu.Unlock()
	if done, err := s.switchOn(name); done {
		s.changed()
		return err
	}
	if name == "domain-taken" {
		n, err := strconv.Atoi(value)
		s.traits.domainsTaken = n
		return err
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return fmt.Errorf("unknown preset %q, or not a duration", text)
	}
	switch name {
	case "429-until":
		s.traits.limitedUntil = s.now().Add(d)
	case "clock-skew":
		s.traits.skew = d
	case "eventual":
		s.traits.lag = d
	default:
		return fmt.Errorf("unknown preset %q", text)
	}
	return nil
}

// switchOn sets the preset of a name that takes no value, if there is one.
func (s *Server) switchOn(name string) (done bool, err error) {
	traits := map[string]*bool{
		"kv-zones": &s.traits.kvZones, "locked-draft": &s.traits.lockDraft, "moved-active": &s.traits.moveActive,
		"no-classic-domains": &s.traits.noClassicDomains, "no-entitlement": &s.traits.noEntitlement,
		"no-superuser": &s.traits.noSuperuser, "quota-kv": &s.traits.kvQuota, "sso-account": &s.traits.sso,
	}
	if name == "signing-key-rotated" {
		s.turn++
		return true, nil
	}
	if t := traits[name]; t != nil {
		*t = true
		return true, nil
	}
	return false, nil
}

// script is the body of POST /__fault.
type script struct {
	Preset string `json:"preset"`
	Match  struct {
		Method string `json:"method"`
		Path   string `json:"path_regex"`
		Nth    int    `json:"nth"`
		Times  int    `json:"times"`
	} `json:"match"`
	Kind   Kind   `json:"kind"`
	Status int    `json:"status"`
	Body   string `json:"body"`
	Delay  int    `json:"delay_ms"`
}

// postFault puts the fault of a body in place, or its preset. It insists on JSON,
// which a page in a browser cannot send to another site unasked.
func (s *Server) postFault(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != jsonType {
		http.Error(w, "faults are "+jsonType, http.StatusUnsupportedMediaType)
		return
	}
	var in script
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	switch {
	case err != nil:
	case in.Preset != "":
		err = s.Preset(in.Preset)
	default:
		err = s.Fault(Fault{
			Match: Match(in.Match), Kind: in.Kind, Status: in.Status, Body: in.Body,
			Delay: time.Duration(in.Delay) * time.Millisecond,
		})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}
