module github.com/ouro-io/ouro/bench/rivals/netpoll

go 1.25.0

require (
	github.com/cloudwego/netpoll v0.7.2
	github.com/ouro-io/ouro/bench/protocol v0.0.0-00010101000000-000000000000
)

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0 // indirect
	github.com/bytedance/gopkg v0.1.1 // indirect
	github.com/cloudwego/gopkg v0.1.4 // indirect
)

replace github.com/ouro-io/ouro/bench/protocol => ../../protocol
