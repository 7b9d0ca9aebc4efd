// One payload between two stations in ns-3; what phyemu/fullstack/model.py is held to.
//
// Reads from stdin: protocol (tcp, udp), payload bytes, rate in Mbit/s (0: IdealWifiManager), MTU,
// retry limit, TCP's window in segments, and in seconds its smallest timeout, its delay of
// acknowledgements and its first timeout; the seed, the time in seconds at which to give up, the
// interval in seconds, the number of intervals, their SNRs in dB.
// Writes: "delivered BYTES SECONDS", and a line "frame STATION KIND PSDU_BYTES RATE COUNT" for each
// sort of frame that was on the air.

#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/mobility-module.h"
#include "ns3/network-module.h"
#include "ns3/propagation-module.h"
#include "ns3/wifi-module.h"

#include <iostream>
#include <map>
#include <string>
#include <tuple>
#include <vector>

using namespace ns3;

namespace
{

// Noise in 20 MHz at 290 K, and a noise figure that lifts every signal above ns-3's thresholds of
// sensitivity and energy detection; only the SNR is to count.
constexpr double NOISE_FIGURE_DB = 51.0;
constexpr uint16_t PORT = 9;
constexpr uint32_t HEADERS = 28 + 8; // MAC header and check sequence, LLC/SNAP
constexpr uint32_t UDP_IN_FLIGHT = 64;

struct Scenario
{
    std::string protocol;
    uint64_t payload;
    uint32_t rate;
    uint32_t mtu;
    uint32_t retryLimit;
    uint32_t window;
    double leastTimeout;
    double delayedAck;
    double connectionTimeout;
    uint64_t seed;
    double limit;
    double interval;
    std::vector<double> snrDb;
};

Scenario scenario;
std::map<std::tuple<uint32_t, std::string, uint32_t, uint32_t>, uint64_t> frames;
uint64_t delivered = 0;
double deliveredAt = 0;
uint64_t written = 0;
uint64_t settled = 0; // datagrams that UDP's sender need not wait for any more
int64_t highest = -1; // last sequence number of TCP's sender
Ptr<Socket> sender;
double noiseDbm;

uint32_t
Segment()
{
    return scenario.mtu - (scenario.protocol == "tcp" ? 20 + 32 : 20 + 8);
}

// SIFS and 4 us: the acknowledgement of the last frame is on the air by then, nothing else is.
void
StopSoon()
{
    Simulator::Stop(MicroSeconds(20));
}

void
OnTransmission(uint32_t station, WifiConstPsduMap psdus, WifiTxVector vector, double)
{
    auto psdu = psdus.begin()->second;
    const auto& header = psdu->GetHeader(0);
    std::string kind = "ack";
    if (header.IsData())
    {
        auto packet = psdu->GetPayload(0)->Copy();
        LlcSnapHeader llc;
        Ipv4Header ip;
        packet->RemoveHeader(llc);
        packet->RemoveHeader(ip);
        kind = station == 0 ? "segment" : "control";
        bool again = false;
        if (scenario.protocol == "tcp")
        {
            TcpHeader tcp;
            packet->RemoveHeader(tcp);
            if (packet->GetSize() == 0)
            {
                kind = "control";
            }
            else
            {
                int64_t last = tcp.GetSequenceNumber().GetValue() + packet->GetSize() - 1;
                again = last <= highest;
                highest = std::max(highest, last);
            }
        }
        if (header.IsRetry())
        {
            kind = "mac-retransmission";
        }
        else if (again)
        {
            kind = "transport-retransmission";
            }
    }
    else if (!header.IsAck())
    {
        kind = "other";
    }
    auto rate = vector.GetMode().GetDataRate(MHz_u{20}) / 1000000;
    frames[{station, kind, psdu->GetSize(), static_cast<uint32_t>(rate)}]++;
}

void
WriteTcp(Ptr<Socket> socket, uint32_t)
{
    while (written < scenario.payload)
    {
        auto size = std::min<uint64_t>({scenario.payload - written, socket->GetTxAvailable()});
        if (size == 0 || socket->Send(Create<Packet>(size)) < 0)
        {
            return;
        }
        written += size;
    }
}

void
WriteUdp()
{
    while (written < scenario.payload && (written / Segment() - settled) < UDP_IN_FLIGHT)
    {
        auto size = std::min<uint64_t>(scenario.payload - written, Segment());
        sender->Send(Create<Packet>(size));
        written += size;
    }
}

void
OnSettled()
{
    settled++;
    WriteUdp();
    if (settled == (scenario.payload + Segment() - 1) / Segment())
    {
        StopSoon();
    }
}

void
OnAcked(Ptr<const WifiMpdu> mpdu)
{
    if (mpdu->GetHeader().IsData())
    {
        OnSettled();
    }
}

void
OnDropped(WifiMacDropReason, Ptr<const WifiMpdu>)
{
    OnSettled();
}

void
OnReceived(Ptr<const Packet> packet, const Address&)
{
    delivered += packet->GetSize();
    deliveredAt = Simulator::Now().GetSeconds();
    if (scenario.protocol == "tcp" && delivered == scenario.payload)
    {
        StopSoon();
    }
}

void
Fade(Ptr<FixedRssLossModel> loss, std::size_t index)
{
    loss->SetRss(dBm_u{noiseDbm + scenario.snrDb[index % scenario.snrDb.size()]});
    if (scenario.snrDb.size() > 1)
    {
        Simulator::Schedule(Seconds(scenario.interval), &Fade, loss, index + 1);
    }
}

} // namespace

int
main()
{
    std::size_t intervals;
    std::cin >> scenario.protocol >> scenario.payload >> scenario.rate >> scenario.mtu >>
        scenario.retryLimit >> scenario.window >> scenario.leastTimeout >>
        scenario.delayedAck >> scenario.connectionTimeout >> scenario.seed >> scenario.limit >> scenario.interval >> intervals;
    scenario.snrDb.resize(std::cin ? intervals : 0);
    for (auto& value : scenario.snrDb)
    {
        std::cin >> value;
    }
    if (!std::cin || scenario.snrDb.empty())
    {
        std::cerr << "the scenario on stdin is incomplete\n";
        return 2;
    }
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(scenario.seed + 1);
    noiseDbm = 10 * std::log10(1.3803e-23 * 290.0 * 20e6 * 1000) + NOISE_FIGURE_DB;

    uint32_t buffer = scenario.window * Segment();
    Config::SetDefault("ns3::TcpL4Protocol::SocketType", StringValue("ns3::TcpNewReno"));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(Segment()));
    Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(buffer));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(2 * buffer));
    Config::SetDefault("ns3::TcpSocketBase::MinRto", TimeValue(Seconds(scenario.leastTimeout)));
    Config::SetDefault("ns3::TcpSocket::DelAckTimeout", TimeValue(Seconds(scenario.delayedAck)));
    Config::SetDefault("ns3::TcpSocket::ConnTimeout",
                       TimeValue(Seconds(scenario.connectionTimeout)));
    // ns-3 drops what waited for half a second; nobody else does.
    Config::SetDefault("ns3::WifiMacQueue::MaxDelay", TimeValue(Seconds(scenario.limit)));
    Config::SetDefault("ns3::WifiMac::FrameRetryLimit", UintegerValue(scenario.retryLimit));

    NodeContainer nodes(2);
    auto loss = CreateObject<FixedRssLossModel>();
    auto channel = CreateObject<YansWifiChannel>();
    channel->SetPropagationLossModel(loss);
    channel->SetPropagationDelayModel(CreateObject<ConstantSpeedPropagationDelayModel>());
    Fade(loss, 0);
    YansWifiPhyHelper phy;
    phy.SetChannel(channel);
    phy.SetErrorRateModel("ns3::NistErrorRateModel");
    phy.Set("RxNoiseFigure", DoubleValue(NOISE_FIGURE_DB));
    WifiHelper wifi;
    wifi.SetStandard(WIFI_STANDARD_80211a);
    if (scenario.rate == 0)
    {
        wifi.SetRemoteStationManager("ns3::IdealWifiManager");
    }
    else
    {
        auto name = "OfdmRate" + std::to_string(scenario.rate) + "Mbps";
        wifi.SetRemoteStationManager("ns3::ConstantRateWifiManager", "DataMode", StringValue(name));
    }
    WifiMacHelper mac;
    mac.SetType("ns3::AdhocWifiMac");
    auto devices = wifi.Install(phy, mac, nodes);
    MobilityHelper mobility;
    auto positions = CreateObject<ListPositionAllocator>();
    positions->Add(Vector(0, 0, 0));
    positions->Add(Vector(3.6, 0, 0));
    mobility.SetPositionAllocator(positions);
    mobility.Install(nodes);
    InternetStackHelper().Install(nodes);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    auto interfaces = addresses.Assign(devices);
    NeighborCacheHelper().PopulateNeighborCache();
    for (uint32_t station = 0; station < 2; station++)
    {
        auto device = DynamicCast<WifiNetDevice>(devices.Get(station));
        device->SetMtu(scenario.mtu);
        for (auto name : {"OfdmRate12Mbps", "OfdmRate24Mbps"})
        {
            device->GetRemoteStationManager()->AddBasicMode(WifiMode(name));
        }
        device->GetPhy()->TraceConnectWithoutContext("PhyTxPsduBegin",
                                                     MakeBoundCallback(&OnTransmission, station));
    }
    WifiHelper::AssignStreams(devices, 0);

    bool tcp = scenario.protocol == "tcp";
    std::string factory = tcp ? "ns3::TcpSocketFactory" : "ns3::UdpSocketFactory";
    PacketSinkHelper sink(factory, InetSocketAddress(Ipv4Address::GetAny(), PORT));
    auto sinks = sink.Install(nodes.Get(1));
    sinks.Get(0)->TraceConnectWithoutContext("Rx", MakeCallback(&OnReceived));
    sender = Socket::CreateSocket(nodes.Get(0), TypeId::LookupByName(factory));
    sender->Bind();
    InetSocketAddress remote(interfaces.GetAddress(1), PORT);
    if (tcp)
    {
        sender->SetSendCallback(MakeCallback(&WriteTcp));
        Simulator::Schedule(Seconds(0), [remote]() { sender->Connect(remote); });
    }
    else
    {
        auto device = DynamicCast<WifiNetDevice>(devices.Get(0));
        device->GetMac()->TraceConnectWithoutContext("AckedMpdu", MakeCallback(&OnAcked));
        device->GetMac()->TraceConnectWithoutContext("DroppedMpdu", MakeCallback(&OnDropped));
        sender->Connect(remote);
        Simulator::Schedule(Seconds(0), &WriteUdp);
    }
    Simulator::Stop(Seconds(scenario.limit));
    Simulator::Run();
    std::cout.precision(12);
    std::cout << "delivered " << delivered << " " << deliveredAt << "\n";
    for (const auto& [key, count] : frames)
    {
        const auto& [station, kind, bytes, rate] = key;
        std::cout << "frame " << station << " " << kind << " " << bytes << " " << rate << " "
                  << count << "\n";
    }
    Simulator::Destroy();
    return 0;
}
