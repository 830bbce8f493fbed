#include "server/directory/directory.hpp"

#include "server/directory/deployment_file.hpp"
#include "tests/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace clamor::directory {
namespace {

TEST(Directory, EveryPartitionHasOneOwnerAndAChannelThatOfItsPartition) {
  const Directory directory{{{0}, {1}, {2}}, 16};
  std::map<std::uint32_t, int> partitions_of;
  for (std::uint32_t i = 0; i < 16; ++i) ++partitions_of[directory.owner(PartitionId{i}).value];
  EXPECT_EQ(partitions_of.size(), 3U) << "none is idle";
  std::map<std::uint32_t, int> channels_of;
  for (std::uint64_t id = 1; id <= 1000; ++id) ++channels_of[directory.owner(ChannelId{id}).value];
  for (const auto& [node, channels] : channels_of) EXPECT_GT(channels, 100) << "node " << node;
}

TEST(DeploymentFile, ANewDirectoryTakesAnyNumberOfNodesAndKeepsIt) {
  const test::TemporaryDirectory directory;
  const std::string data = directory / "data";
  EXPECT_EQ(check_deployment(data, 3), "");
  const std::vector<Lease> leases{
      {{0}, {4}, "127.0.0.1", 7100}, {{1}, {4}, "127.0.0.1", 7101}, {{2}, {5}, "127.0.0.1", 7102}};
  ASSERT_EQ(write_deployment(data, 3, 16, leases), "");
  EXPECT_EQ(check_deployment(data, 3), "");
  EXPECT_NE(check_deployment(data, 2).find("made for 3 nodes"), std::string::npos);
  EXPECT_NE(check_deployment(data, 1).find("--nodes 3"), std::string::npos);
  std::ostringstream text;
  text << std::ifstream{data + "/deployment"}.rdbuf();
  EXPECT_EQ(text.str(),
            "nodes 3\npartitions 16\nnode 0 term 4 listen 127.0.0.1 7100\n"
            "node 1 term 4 listen 127.0.0.1 7101\nnode 2 term 5 listen 127.0.0.1 7102\n");
}

TEST(DeploymentFile, ProcessesThatShareADirectoryKeepEachOthersLeases) {
  const test::TemporaryDirectory directory;
  const std::string data = directory / "";
  const std::vector<Lease> first{{{0}, {1}, "127.0.0.1", 7100}, {{2}, {1}, "127.0.0.1", 7102}};
  const std::vector<Lease> second{{{1}, {5}, "127.0.0.1", 7101}};
  const std::vector<Lease> again{{{2}, {2}, "127.0.0.1", 7202}};
  for (const auto& leases : {first, second, again}) {
    ASSERT_EQ(write_deployment(data, 3, 16, leases), "");
  }
  std::ostringstream text;
  text << std::ifstream{data + "/deployment"}.rdbuf();
  EXPECT_EQ(text.str(),
            "nodes 3\npartitions 16\nnode 0 term 1 listen 127.0.0.1 7100\n"
            "node 1 term 5 listen 127.0.0.1 7101\nnode 2 term 2 listen 127.0.0.1 7202\n");
}

TEST(DeploymentFile, WhatCannotBeLockedOrWrittenIsSaidWithWhatToDo) {
  const test::TemporaryDirectory directory;
  const std::string missing = write_deployment(directory / "missing", 3, 16, {});
  EXPECT_NE(missing.find("cannot be locked: No such file"), std::string::npos) << missing;
  EXPECT_NE(missing.find("--data names another one"), std::string::npos) << missing;
  std::filesystem::create_directory(directory / "deployment.new");
  const std::string taken = write_deployment(directory / "", 3, 16, {});
  EXPECT_NE(taken.find("deployment.new: cannot be written: Is a directory"), std::string::npos)
      << taken;
}

TEST(DeploymentFile, ADirectoryOfALoneNodeOrWithADamagedFileIsRefused) {
  const test::TemporaryDirectory directory;
  std::ofstream{directory / "CURRENT"} << "a store\n";
  EXPECT_NE(check_deployment(directory / "", 2).find("made for 1 node"), std::string::npos);
  EXPECT_EQ(check_deployment(directory / "", 1), "");
  std::ofstream{directory / "deployment"} << "something else\n";
  EXPECT_NE(check_deployment(directory / "", 2).find("expected `nodes N`"), std::string::npos);
}

}  // namespace
}  // namespace clamor::directory
