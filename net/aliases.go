package net

import stdnet "net"

// What does no I/O of its own is the standard library's, so that values pass freely.
type (
	Addr                = stdnet.Addr
	AddrError           = stdnet.AddrError
	Conn                = stdnet.Conn
	DNSConfigError      = stdnet.DNSConfigError
	DNSError            = stdnet.DNSError
	Error               = stdnet.Error
	Flags               = stdnet.Flags
	HardwareAddr        = stdnet.HardwareAddr
	IP                  = stdnet.IP
	IPAddr              = stdnet.IPAddr
	IPMask              = stdnet.IPMask
	IPNet               = stdnet.IPNet
	Interface           = stdnet.Interface
	InvalidAddrError    = stdnet.InvalidAddrError
	KeepAliveConfig     = stdnet.KeepAliveConfig
	Listener            = stdnet.Listener
	MX                  = stdnet.MX
	NS                  = stdnet.NS
	OpError             = stdnet.OpError
	PacketConn          = stdnet.PacketConn
	ParseError          = stdnet.ParseError
	Resolver            = stdnet.Resolver
	SRV                 = stdnet.SRV
	TCPAddr             = stdnet.TCPAddr
	UDPAddr             = stdnet.UDPAddr
	UnixAddr            = stdnet.UnixAddr
	UnknownNetworkError = stdnet.UnknownNetworkError
)

// Lengths of IP addresses in bytes.
const (
	IPv4len = stdnet.IPv4len
	IPv6len = stdnet.IPv6len
)

// Interface flags.
const (
	FlagUp           = stdnet.FlagUp
	FlagBroadcast    = stdnet.FlagBroadcast
	FlagLoopback     = stdnet.FlagLoopback
	FlagPointToPoint = stdnet.FlagPointToPoint
	FlagMulticast    = stdnet.FlagMulticast
	FlagRunning      = stdnet.FlagRunning
)

// The standard library's variables. They are copies of slices, pointers and errors: what they refer to is shared.
var (
	IPv4bcast     = stdnet.IPv4bcast
	IPv4allsys    = stdnet.IPv4allsys
	IPv4allrouter = stdnet.IPv4allrouter
	IPv4zero      = stdnet.IPv4zero

	IPv6zero                   = stdnet.IPv6zero
	IPv6unspecified            = stdnet.IPv6unspecified
	IPv6loopback               = stdnet.IPv6loopback
	IPv6interfacelocalallnodes = stdnet.IPv6interfacelocalallnodes
	IPv6linklocalallnodes      = stdnet.IPv6linklocalallnodes
	IPv6linklocalallrouters    = stdnet.IPv6linklocalallrouters

	// DefaultResolver is the resolver of the package-level lookups.
	DefaultResolver = stdnet.DefaultResolver
	// ErrWriteToConnected is returned by WriteTo on a connected packet socket.
	ErrWriteToConnected = stdnet.ErrWriteToConnected
	// ErrClosed is returned, inside an *OpError, by operations on what is closed.
	ErrClosed = stdnet.ErrClosed
)
