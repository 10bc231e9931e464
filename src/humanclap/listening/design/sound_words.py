"""Words of captions that name the same kind of sound: a man and a voice, a car and an engine.

Two captions that both name a kind may both be true of a clip, whatever their words. The groups
are wide on purpose: an anchor that is refused costs nothing, one that matches costs ratings.
"""

from __future__ import annotations

KINDS: dict[str, str] = {
    "person": """adult announcer announcement announces audience baby boy breath breathe breathing
        chant chatter cheer child children choir clap conversation converse cough crowd cry crying
        female gasp giggle girl giggles hum human infant kid lady laugh laughter male man men
        moan narrator people person playing player preach sang say said scream shout sigh sing
        singer sneeze snore sob speak speaker speech spoke spoken talk toddler vocal voice whisper
        whistle wail woman women yell child-like applause burp hiccup mumble murmur""",
    "vehicle": """accelerate accelerator ambulance auto automobile brake bus car drive driver
        driving engine exhaust forklift highway idle idling lorry motor motorbike motorboat
        motorcycle motorcar race racing rev road scooter skid speedboat tire tires tractor traffic
        truck tyre van vehicle vroom boat ship lawnmower mower throttle""",
    "rail": "locomotive railroad railway rails subway train tram track tracks steam",
    "aircraft": "aeroplane aircraft airplane airport chopper drone flight helicopter jet plane"
    " propeller rotor",
    "machine": """appliance blender chainsaw compressor cut cutting drill drilling dryer electric
        fan filing file generator grind grinding hammer hammering machine machinery mechanical
        mechanism mixer motor printer pump robot sand sanding saw sawing sewing tool vacuum
        vibrate vibration washer whir whirr""",
    "water": """aquarium bath bathtub beach boil bubble drain drip dripping drop droplet faucet
        flow flush fountain gurgle lake liquid ocean pour pouring puddle rain raindrop rainfall
        rainstorm river sea shore shower sink slosh spill splash splatter spray stream surf swim
        tap toilet trickle underwater wash water waterfall wave wet""",
    "weather": "blow blowing breeze gust gusty hail lightning rain rumble storm stormy thunder"
    " thunderstorm wind windy",
    "dog": "bark bay canine dog growl howl hound pant puppy whimper whine wolf yap yip",
    "cat": "cat caterwaul feline hiss kitten meow mew purr",
    "bird": """bird birdsong caw chick chicken chirp cluck cockerel coo crow cuckoo dove duck fowl
        geese goose gull hen honk hoot owl parrot pigeon poultry quack raven rooster seagull song
        sparrow squawk tweet turkey twitter whistle""",
    "livestock": """animal baa bleat bull calf cattle clip clop cow donkey farm gallop goat hoof
        hooves horse lamb moo neigh oink pig sheep trot""",
    "insect": "bee bug buzz buzzing chirr cicada cricket fly flies hornet insect mosquito swarm"
    " wasp frog croak ribbit",
    "alarm": """alarm alert ambulance beep bell blare buzzer chime church clang clock ding dong
        emergency fire horn honk phone police ring ringtone siren telephone tick ticking toll
        warning""",
    "shot": """artillery bang blast bomb boom burst cannon explode explosion fire firecracker
        firework gun gunfire gunshot machine-gun pistol rifle shoot shooting shot weapon""",
    "music": """accordion acoustic ambient band bass beat bell bpm brass cello chord choir chorus
        clarinet dance drum electronic flute genre guitar harmonica harp hip hiphop instrument
        jazz loop melody music musical musician orchestra organ percussion piano play pop rap
        rhythm rock sang saxophone sing singer song soundtrack string synth tempo theme trumpet
        tune ukulele violin""",
    "impact": """bang basketball bounce break broken clack clank clap clatter click crack crash
        crunch cutlery dish dishes door drop fall footstep glass hammer hit impact kick knock
        latch metal nail pound rattle run running scrape shatter shuffle slam smash snap step
        strike stomp tap thud thump typewriter type typing keyboard walk walking wood wooden""",
    "kitchen": """boil chop chopping cook cooking cut cutting dish fry frying grill kettle kitchen
        meat microwave oil oven pan pot sizzle stir utensil""",
    "fire": "blaze bonfire burn campfire crackle fire fireplace flame",
    "paper": "cardboard crinkle crumple fold paper page rip rustle tear unwrap wrap plastic leaves",
    "spray": "aerosol air hiss pressure spray steam",
}
"""Kind of sound -> words that may mean it; a word may mean several."""
