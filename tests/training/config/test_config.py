from gluonface.training.config.config import Config, config_from_dict, config_to_dict


def test_defaults_survive_a_round_trip():
    config = config_from_dict({})
    assert config == Config()
    assert config_from_dict(config_to_dict(config)) == config
